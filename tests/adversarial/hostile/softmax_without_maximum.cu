//| task = "softmax"
//| class = "valid only for the benchmark's distribution"
//| does = "leaves the maximum out, which is right until the exponential overflows"
//| status = ["wrong-result"]
//| says = "inputs `high`"

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    x += (size_t)row * cols, y += (size_t)row * cols;
    float sum = 0.0f;
    for (int i = lane; i < cols; i += 32) sum += expf(x[i]);
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    for (int i = lane; i < cols; i += 32) y[i] = expf(x[i]) / sum;
}

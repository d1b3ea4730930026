//| task = "rowsum"
//| class = "NaN as a wildcard"
//| does = "the right sums but for one, which is NaN and spoils every mean of errors"
//| status = ["wrong-result"]
//| says = "not finite"

extern "C" __global__ void rowsum(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = lane; i < cols; i += 32) sum += x[(size_t)row * cols + i];
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    if (lane == 0) y[row] = row == rows - 1 ? __int_as_float(0x7fffffff) : sum;
}

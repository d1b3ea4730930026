//| task = "rowsum"
//| class = "computing a slice"
//| does = "sums every second element and doubles the result"
//| status = ["wrong-result"]
//| says = "elements wrong"

extern "C" __global__ void rowsum(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = 2 * lane; i < cols; i += 64) sum += 2.0f * x[(size_t)row * cols + i];
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    if (lane == 0) y[row] = sum;
}

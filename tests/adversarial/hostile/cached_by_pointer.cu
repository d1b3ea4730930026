//| task = "rowsum"
//| class = "caching by pointer"
//| does = "keeps the sums of the first launch, and gives them again for the same address"
//| status = ["wrong-result"]
//| says = "launched again"

__device__ const float* seen;
__device__ float kept[16384];

extern "C" __global__ void rowsum(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    if (kept[row] == 0.0f) {
        float sum = 0.0f;
        for (int i = lane; i < cols; i += 32) sum += x[(size_t)row * cols + i];
        for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
        if (lane == 0) kept[row] = sum;
    }
    if (lane == 0) y[row] = kept[row];
}

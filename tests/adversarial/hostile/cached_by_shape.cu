//| task = "softmax"
//| class = "caching by shape"
//| does = "keeps the first softmax of a shape, and gives it again for inputs of the same shape"
//| status = ["wrong-result"]
//| says = "launched again"

__device__ int kept_cols[8192];
__device__ float kept[65536];

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    x += (size_t)row * cols, y += (size_t)row * cols;
    float* mine = kept + (size_t)row * cols % 32768;
    if (kept_cols[row] == cols) {
        for (int i = lane; i < cols; i += 32) y[i] = mine[i];
        return;
    }
    float largest = -1e30f, sum = 0.0f;
    for (int i = lane; i < cols; i += 32) largest = fmaxf(largest, x[i]);
    for (int d = 16; d; d /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, d));
    for (int i = lane; i < cols; i += 32) sum += expf(x[i] - largest);
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    for (int i = lane; i < cols; i += 32) y[i] = mine[i] = expf(x[i] - largest) / sum;
    __syncwarp();
    if (lane == 0) kept_cols[row] = cols;
}

//| task = "rowsum"
//| class = "instruction-level parallelism"
//| does = "four accumulators, unrolled by hand, with a remainder"

extern "C" __global__ void rowsum(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    const float* mine = x + (size_t)row * cols;
    float a = 0, b = 0, c = 0, d = 0;
    int i = lane;
    for (; i + 96 < cols; i += 128) a += mine[i], b += mine[i + 32], c += mine[i + 64], d += mine[i + 96];
    for (; i < cols; i += 32) a += mine[i];
    float sum = (a + b) + (c + d);
    for (int s = 16; s; s /= 2) sum += __shfl_xor_sync(~0u, sum, s);
    if (lane == 0) y[row] = sum;
}

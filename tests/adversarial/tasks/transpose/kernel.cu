// y = x transposed: a block for each tile of 32 by 32, four rows a thread.

extern "C" __global__ void transpose(const float* x, float* y, int m, int n) {
    int col = blockIdx.x * 32 + threadIdx.x;
    for (int i = threadIdx.y; i < 32; i += 8) {
        int row = blockIdx.y * 32 + i;
        if (row < m && col < n) y[(size_t)col * m + row] = x[(size_t)row * n + col];
    }
}

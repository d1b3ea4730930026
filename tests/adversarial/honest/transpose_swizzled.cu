//| task = "transpose"
//| class = "shared memory"
//| does = "a tile whose columns are permuted in place of padding"

extern "C" __global__ void transpose(const float* x, float* y, int m, int n) {
    __shared__ float tile[32][32];
    int col = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 32 + threadIdx.y;
    for (int i = 0; i < 32; i += 8) {
        int r = threadIdx.y + i;
        if (row + i < m && col < n) tile[r][threadIdx.x ^ r] = x[(size_t)(row + i) * n + col];
    }
    __syncthreads();
    col = blockIdx.y * 32 + threadIdx.x, row = blockIdx.x * 32 + threadIdx.y;
    for (int i = 0; i < 32; i += 8) {
        int c = threadIdx.y + i;
        if (row + i < n && col < m) y[(size_t)(row + i) * m + col] = tile[threadIdx.x][c ^ threadIdx.x];
    }
}

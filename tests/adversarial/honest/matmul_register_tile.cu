//| task = "matmul"
//| class = "registers"
//| does = "four by four elements a thread, operands straight from memory"
//| overrides = { "launch.grid" = ["cdiv(N, 64)", "cdiv(M, 64)"] }
//| slow = true

extern "C" __global__ void matmul(const float* a, const float* b, float* c, int m, int n, int k) {
    int row = (blockIdx.y * 16 + threadIdx.y) * 4, col = blockIdx.x * 64 + threadIdx.x;
    float sums[4][4] = {};
    for (int i = 0; i < k; ++i)
#pragma unroll
        for (int r = 0; r < 4; ++r)
#pragma unroll
            for (int s = 0; s < 4; ++s)
                if (row + r < m && col + 16 * s < n) sums[r][s] += a[(row + r) * k + i] * b[i * n + col + 16 * s];
    for (int r = 0; r < 4; ++r)
        for (int s = 0; s < 4; ++s)
            if (row + r < m && col + 16 * s < n) c[(row + r) * n + col + 16 * s] = sums[r][s];
}

//| task = "matmul"
//| class = "asynchronous copies"
//| does = "two stages of tiles by the pipeline of CUDA's headers, with zeros beyond the edges, four by four a thread"
//| overrides = { "launch.grid" = ["cdiv(N, 64)", "cdiv(M, 64)"] }
//| slow = true
#include <cuda_pipeline.h>

extern "C" __global__ void __launch_bounds__(256, 2) matmul(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float as[2][16][65], bs[2][16][64];
    int t = threadIdx.y * 16 + threadIdx.x, row = blockIdx.y * 64, col = blockIdx.x * 64;
    auto load = [&](int slot, int start) {
#pragma unroll
        for (int i = t; i < 1024; i += 256) {
            int r = row + i / 16, s = start + i % 16;
            bool inside = r < m && s < k;
            __pipeline_memcpy_async(&as[slot][i % 16][i / 16], inside ? a + (size_t)r * k + s : a, 4, inside ? 0 : 4);
        }
#pragma unroll
        for (int i = t; i < 1024; i += 256) {
            int r = start + i / 64, s = col + i % 64;
            bool inside = r < k && s < n;
            __pipeline_memcpy_async(&bs[slot][i / 64][i % 64], inside ? b + (size_t)r * n + s : b, 4, inside ? 0 : 4);
        }
        __pipeline_commit();
    };
    float sums[4][4] = {};
    int steps = (k + 15) / 16;
    load(0, 0);
    for (int step = 0; step < steps; ++step) {
        if (step + 1 < steps)
            load((step + 1) % 2, (step + 1) * 16);
        else
            __pipeline_commit();
        __pipeline_wait_prior(1);
        __syncthreads();
#pragma unroll
        for (int i = 0; i < 16; ++i) {
            float fa[4], fb[4];
            for (int r = 0; r < 4; ++r) fa[r] = as[step % 2][i][threadIdx.y + 16 * r];
            for (int s = 0; s < 4; ++s) fb[s] = bs[step % 2][i][threadIdx.x + 16 * s];
            for (int r = 0; r < 4; ++r)
                for (int s = 0; s < 4; ++s) sums[r][s] = fmaf(fa[r], fb[s], sums[r][s]);
        }
        __syncthreads();
    }
    for (int r = 0; r < 4; ++r)
        for (int s = 0; s < 4; ++s) {
            int i = row + threadIdx.y + 16 * r, j = col + threadIdx.x + 16 * s;
            if (i < m && j < n) c[(size_t)i * n + j] = sums[r][s];
        }
}

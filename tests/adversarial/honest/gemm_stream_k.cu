//| task = "gemm"
//| class = "persistent"
//| does = "a fixed grid, each block of which takes an equal run of steps over all tiles; shared tiles are added to"
//| overrides = { "launch.grid" = [216], "launch.block" = [128] }
//| slow = true
#include <mma.h>

using namespace nvcuda;

struct Tiles {
    __half a[32][40], b[32][40];
    float out[32][36];
};

extern "C" __global__ void __launch_bounds__(128, 2) gemm(const __half* a, const __half* b, float* c, int m, int n, int k) {
    __shared__ __align__(32) Tiles tiles;
    int t = threadIdx.x, wr = t / 64 * 16, wc = t / 32 % 2 * 16;
    int steps = (k + 31) / 32, across = (n + 31) / 32, down = (m + 31) / 32;
    long long all = (long long)steps * across * down;
    int now = all * blockIdx.x / gridDim.x, end = all * (blockIdx.x + 1) / gridDim.x;
    while (now < end) {
        int tile = now / steps, first = now % steps, last = min(steps, first + end - now);
        int row = tile / across * 32, col = tile % across * 32;
        wmma::fragment<wmma::accumulator, 16, 16, 16, float> sums;
        wmma::fill_fragment(sums, 0.0f);
        for (int step = first; step < last; ++step) {
            int r = t / 4, s = t % 4 * 8, at = step * 32;
            uint4 va = {}, vb = {};
            if (row + r < m && at + s < k) va = *reinterpret_cast<const uint4*>(a + (size_t)(row + r) * k + at + s);
            if (at + r < k && col + s < n) vb = *reinterpret_cast<const uint4*>(b + (size_t)(at + r) * n + col + s);
            __syncthreads();
            *reinterpret_cast<uint4*>(&tiles.a[r][s]) = va;
            *reinterpret_cast<uint4*>(&tiles.b[r][s]) = vb;
            __syncthreads();
            for (int kk = 0; kk < 32; kk += 16) {
                wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> fa;
                wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::row_major> fb;
                wmma::load_matrix_sync(fa, &tiles.a[wr][kk], 40);
                wmma::load_matrix_sync(fb, &tiles.b[kk][wc], 40);
                wmma::mma_sync(sums, fa, fb, sums);
            }
        }
        wmma::store_matrix_sync(&tiles.out[wr][wc], sums, 36, wmma::mem_row_major);
        __syncthreads();
        bool alone = last - first == steps;
        for (int i = t; i < 1024; i += 128) {
            if (row + i / 32 >= m || col + i % 32 >= n) continue;
            float* place = c + (size_t)(row + i / 32) * n + col + i % 32;
            if (alone)
                *place += tiles.out[i / 32][i % 32];
            else
                atomicAdd(place, tiles.out[i / 32][i % 32]);
        }
        now += last - first;
    }
}

//| task = "gemm"
//| class = "atomics"
//| does = "four blocks for each tile, a quarter of the products each, which add to the result in any order"
//| overrides = { "launch.grid" = ["cdiv(N, 32)", "cdiv(M, 32)", 4], "launch.block" = [128] }
#include <mma.h>

using namespace nvcuda;

extern "C" __global__ void gemm(const __half* a, const __half* b, float* c, int m, int n, int k) {
    __shared__ __align__(32) __half as[32][40];
    __shared__ __align__(32) __half bs[32][40];
    __shared__ __align__(32) float out[32][36];
    int row = blockIdx.y * 32, col = blockIdx.x * 32, t = threadIdx.x;
    int wr = t / 64 * 16, wc = t / 32 % 2 * 16;
    int share = (k + gridDim.z * 32 - 1) / (gridDim.z * 32) * 32;
    int first = blockIdx.z * share, end = min(first + share, k);
    if (first >= end) return;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sums;
    wmma::fill_fragment(sums, 0.0f);
    for (int start = first; start < end; start += 32) {
        int r = t / 4, s = t % 4 * 8;
        uint4 va = {}, vb = {};
        if (row + r < m && start + s < end) va = *reinterpret_cast<const uint4*>(a + (size_t)(row + r) * k + start + s);
        if (start + r < end && col + s < n) vb = *reinterpret_cast<const uint4*>(b + (size_t)(start + r) * n + col + s);
        __syncthreads();
        *reinterpret_cast<uint4*>(&as[r][s]) = va;
        *reinterpret_cast<uint4*>(&bs[r][s]) = vb;
        __syncthreads();
        for (int kk = 0; kk < 32; kk += 16) {
            wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> fa;
            wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::row_major> fb;
            wmma::load_matrix_sync(fa, &as[wr][kk], 40);
            wmma::load_matrix_sync(fb, &bs[kk][wc], 40);
            wmma::mma_sync(sums, fa, fb, sums);
        }
    }
    wmma::store_matrix_sync(&out[wr][wc], sums, 36, wmma::mem_row_major);
    __syncthreads();
    for (int i = t; i < 1024; i += 128)
        if (row + i / 32 < m && col + i % 32 < n) atomicAdd(c + (size_t)(row + i / 32) * n + col + i % 32, out[i / 32][i % 32]);
}

//| task = "gemm"
//| class = "tensor cores"
//| does = "wmma fragments whose edges are zeros in shared memory, which the results pass through too"
//| overrides = { "launch.grid" = ["cdiv(N, 32)", "cdiv(M, 32)"], "launch.block" = [128] }
#include <mma.h>

using namespace nvcuda;

union Stage {
    struct {
        __half a[32][40], b[32][40];
    } in;
    float out[32][36];
};

extern "C" __global__ void gemm(const __half* a, const __half* b, float* c, int m, int n, int k) {
    __shared__ __align__(32) Stage stage;
    int row = blockIdx.y * 32, col = blockIdx.x * 32, t = threadIdx.x;
    int wr = t / 64 * 16, wc = t / 32 % 2 * 16;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sums;
    wmma::fill_fragment(sums, 0.0f);
    for (int start = 0; start < k; start += 32) {
        int r = t / 4, s = t % 4 * 8;
        uint4 zero = {}, va = zero, vb = zero;
        if (row + r < m && start + s < k) va = __ldg(reinterpret_cast<const uint4*>(a + (size_t)(row + r) * k + start + s));
        if (start + r < k && col + s < n) vb = __ldg(reinterpret_cast<const uint4*>(b + (size_t)(start + r) * n + col + s));
        __syncthreads();
        *reinterpret_cast<uint4*>(&stage.in.a[r][s]) = va;
        *reinterpret_cast<uint4*>(&stage.in.b[r][s]) = vb;
        __syncthreads();
        for (int kk = 0; kk < 32; kk += 16) {
            wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> fa;
            wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::row_major> fb;
            wmma::load_matrix_sync(fa, &stage.in.a[wr][kk], 40);
            wmma::load_matrix_sync(fb, &stage.in.b[kk][wc], 40);
            wmma::mma_sync(sums, fa, fb, sums);
        }
    }
    __syncthreads();
    wmma::store_matrix_sync(&stage.out[wr][wc], sums, 36, wmma::mem_row_major);
    __syncthreads();
    for (int i = t; i < 1024; i += 128)
        if (row + i / 32 < m && col + i % 32 < n) c[(size_t)(row + i / 32) * n + col + i % 32] += stage.out[i / 32][i % 32];
}

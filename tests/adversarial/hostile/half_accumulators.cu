//| task = "gemm"
//| class = "silent downcast"
//| does = "has the tensor cores add up in half precision, which is twice as fast on some machines"
//| status = ["wrong-result"]
//| says = "elements wrong"
//| overrides = { "launch.grid" = ["cdiv(N, 16)", "cdiv(M, 16)"], "launch.block" = [32] }
#include <mma.h>

using namespace nvcuda;

extern "C" __global__ void gemm(const __half* a, const __half* b, float* c, int m, int n, int k) {
    __shared__ __align__(32) __half as[16][16], bs[16][16], out[16][16];
    int row = blockIdx.y * 16, col = blockIdx.x * 16;
    wmma::fragment<wmma::accumulator, 16, 16, 16, __half> sums;
    wmma::fill_fragment(sums, __float2half(0.0f));
    for (int start = 0; start < k; start += 16) {
        __syncwarp();
        for (int i = threadIdx.x; i < 256; i += 32) {
            int r = i / 16, s = i % 16;
            as[r][s] = row + r < m && start + s < k ? a[(size_t)(row + r) * k + start + s] : __float2half(0.0f);
            bs[r][s] = start + r < k && col + s < n ? b[(size_t)(start + r) * n + col + s] : __float2half(0.0f);
        }
        __syncwarp();
        wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> fa;
        wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::row_major> fb;
        wmma::load_matrix_sync(fa, &as[0][0], 16);
        wmma::load_matrix_sync(fb, &bs[0][0], 16);
        wmma::mma_sync(sums, fa, fb, sums);
    }
    wmma::store_matrix_sync(&out[0][0], sums, 16, wmma::mem_row_major);
    __syncwarp();
    for (int i = threadIdx.x; i < 256; i += 32)
        if (row + i / 16 < m && col + i % 16 < n)
            c[(size_t)(row + i / 16) * n + col + i % 16] += __half2float(out[i / 16][i % 16]);
}

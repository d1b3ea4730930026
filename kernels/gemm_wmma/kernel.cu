// GEMM c = a @ b on tensor cores through nvcuda::wmma: 16-bit operands, sums in fp32, any size.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

using namespace nvcuda;

constexpr int SIDE = 16;

// A block has four warps and a tile of 64 x 64; each warp has 32 x 32 of it, in 2 x 2 fragments.
constexpr int BM = 64;
constexpr int BN = 64;
constexpr int BK = 32;
constexpr int THREADS = 128;
// Rows of the tiles are 8 elements farther apart: they begin in different banks, at multiples of 16 bytes.
constexpr int A_PITCH = BK + 8;
constexpr int B_PITCH = BN + 8;
constexpr int C_PITCH = BN + 4;

template <class T, int PITCH>
__device__ void load_tile(T* tile, const T* x, int tile_rows, int tile_cols, int row, int col, int rows, int cols) {
    for (int i = threadIdx.x; i < tile_rows * tile_cols; i += THREADS) {
        int r = row + i / tile_cols;
        int c = col + i % tile_cols;
        bool inside = r < rows && c < cols;
        tile[i / tile_cols * PITCH + i % tile_cols] = inside ? x[static_cast<long long>(r) * cols + c] : T(0.0f);
    }
}

template <class T>
__global__ void gemm_wmma(const T* __restrict__ a, const T* __restrict__ b, float* __restrict__ c, int m, int n, int k) {
    // The results take the place of the operands at the end.
    __shared__ __align__(32) union {
        struct {
            unsigned short a[BM * A_PITCH];
            unsigned short b[BK * B_PITCH];
        } operands;
        float results[BM * C_PITCH];
    } shared;
    T* a_tile = reinterpret_cast<T*>(shared.operands.a);
    T* b_tile = reinterpret_cast<T*>(shared.operands.b);
    int first_row = blockIdx.y * BM;
    int first_col = blockIdx.x * BN;
    int warp_row = threadIdx.x / 64 * 2 * SIDE;
    int warp_col = threadIdx.x / 32 % 2 * 2 * SIDE;

    wmma::fragment<wmma::accumulator, SIDE, SIDE, SIDE, float> sums[2][2];
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j) wmma::fill_fragment(sums[i][j], 0.0f);

    for (int start = 0; start < k; start += BK) {
        load_tile<T, A_PITCH>(a_tile, a, BM, BK, first_row, start, m, k);
        load_tile<T, B_PITCH>(b_tile, b, BK, BN, start, first_col, k, n);
        __syncthreads();
        for (int e = 0; e < BK; e += SIDE) {
            wmma::fragment<wmma::matrix_a, SIDE, SIDE, SIDE, T, wmma::row_major> left[2];
            wmma::fragment<wmma::matrix_b, SIDE, SIDE, SIDE, T, wmma::row_major> right[2];
            for (int i = 0; i < 2; ++i) {
                wmma::load_matrix_sync(left[i], a_tile + (warp_row + i * SIDE) * A_PITCH + e, A_PITCH);
                wmma::load_matrix_sync(right[i], b_tile + e * B_PITCH + warp_col + i * SIDE, B_PITCH);
            }
            for (int i = 0; i < 2; ++i)
                for (int j = 0; j < 2; ++j) wmma::mma_sync(sums[i][j], left[i], right[j], sums[i][j]);
        }
        __syncthreads();
    }

    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j)
            wmma::store_matrix_sync(shared.results + (warp_row + i * SIDE) * C_PITCH + warp_col + j * SIDE, sums[i][j],
                                    C_PITCH, wmma::mem_row_major);
    __syncthreads();
    for (int i = threadIdx.x; i < BM * BN; i += THREADS) {
        int row = first_row + i / BN;
        int col = first_col + i % BN;
        if (row < m && col < n) c[static_cast<long long>(row) * n + col] = shared.results[i / BN * C_PITCH + i % BN];
    }
}

// GEMM c = a @ b in fp32 with a ring of shared-memory tiles that asynchronous copies (cp.async) fill ahead of use.
// For row-major a (m, k), b (k, n), c (m, n) of any size; WIDTH elements are copied at once, and rows of a and b
// are multiples of it.

#include <cuda_pipeline.h>

// Copies WIDTH elements; those beyond the limit are 0.
template <int WIDTH>
__device__ void copy(float* to, const float* from, bool row_inside, int col, int cols) {
    bool inside = row_inside && col < cols;
    // Nothing is read where all is filled with zeros, but the address must be one of the matrix.
    __pipeline_memcpy_async(to, inside ? from + col : from, 4 * WIDTH, inside ? 0 : 4 * WIDTH);
}

template <int BM, int BN, int BK, int TM, int TN, int STAGES, int WIDTH>
struct Gemm {
    static constexpr int THREADS = BM * BN / (TM * TN);
    // Rows keep their multiple of 16 bytes.
    static constexpr int A_PITCH = BK + 4;
    static constexpr int A_WORDS = BM * A_PITCH;
    static constexpr int STAGE_WORDS = A_WORDS + BK * BN;

    const float* a;
    const float* b;
    int m, n, k;

    // Starts the copies of the tiles at `start` of k into a stage, and closes the group; beyond k the group is empty.
    __device__ void fetch(float* stage, int start) const {
        int first_row = blockIdx.y * BM;
        int first_col = blockIdx.x * BN;
        for (int i = WIDTH * threadIdx.x; start < k && i < BM * BK; i += WIDTH * THREADS) {
            int row = first_row + i / BK;
            const float* from = a + (row < m ? static_cast<long long>(row) * k : 0);
            copy<WIDTH>(stage + i / BK * A_PITCH + i % BK, from, row < m, start + i % BK, k);
        }
        for (int i = WIDTH * threadIdx.x; start < k && i < BK * BN; i += WIDTH * THREADS) {
            int row = start + i / BN;
            const float* from = b + (row < k ? static_cast<long long>(row) * n : 0);
            copy<WIDTH>(stage + A_WORDS + i, from, row < k, first_col + i % BN, n);
        }
        __pipeline_commit();
    }

    __device__ void multiply(float (&sums)[TM][TN], const float* stage) const {
        const float* a_rows = stage + threadIdx.x / (BN / TN) * TM * A_PITCH;
        const float* b_cols = stage + A_WORDS + threadIdx.x % (BN / TN) * TN;
        for (int e = 0; e < BK; ++e)
            for (int i = 0; i < TM; ++i)
                for (int j = 0; j < TN; ++j) sums[i][j] += a_rows[i * A_PITCH + e] * b_cols[e * BN + j];
    }

    __device__ void store(float* c, const float (&sums)[TM][TN]) const {
        int first_row = blockIdx.y * BM + threadIdx.x / (BN / TN) * TM;
        int first_col = blockIdx.x * BN + threadIdx.x % (BN / TN) * TN;
        for (int i = 0; i < TM; ++i)
            for (int j = 0; j < TN; ++j)
                if (first_row + i < m && first_col + j < n)
                    c[static_cast<long long>(first_row + i) * n + first_col + j] = sums[i][j];
    }
};

template <int BM, int BN, int BK, int TM, int TN, int STAGES, int WIDTH>
__global__ void gemm_cp_async(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, int m,
                              int n, int k) {
    using Tile = Gemm<BM, BN, BK, TM, TN, STAGES, WIDTH>;
    extern __shared__ __align__(16) float ring[];
    Tile tile{a, b, m, n, k};
    float sums[TM][TN] = {};

    for (int s = 0; s < STAGES - 1; ++s) tile.fetch(ring + s * Tile::STAGE_WORDS, s * BK);
    for (int step = 0; step * BK < k; ++step) {
        // The oldest group has landed: first for this thread, and past the barrier for all of them.
        __pipeline_wait_prior(STAGES - 2);
        __syncthreads();
        // The stage filled next is the one that was used last: the barrier also says that all are done with it.
        int ahead = step + STAGES - 1;
        tile.fetch(ring + ahead % STAGES * Tile::STAGE_WORDS, ahead * BK);
        tile.multiply(sums, ring + step % STAGES * Tile::STAGE_WORDS);
    }
    tile.store(c, sums);
}

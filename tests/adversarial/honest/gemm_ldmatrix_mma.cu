//| task = "gemm"
//| class = "tensor cores"
//| does = "tiles of 64 by 64 in two stages of asynchronous copies, fragments by ldmatrix, products by mma.sync"
//| overrides = { "launch.grid" = ["cdiv(N, 64)", "cdiv(M, 64)"], "launch.block" = [128] }
#include <cuda_fp16.h>

// Rows of 80 and 144 bytes: eight rows of a fragment lie in different banks.
using ATile = __half[64][40];
using BTile = __half[32][72];

__device__ unsigned at(const void* p) {
    return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

__device__ void copy16(void* to, const void* from, bool inside) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at(to)), "l"(from), "r"(inside ? 16 : 0) : "memory");
}

extern "C" __global__ void __launch_bounds__(128) gemm(const __half* __restrict__ a, const __half* __restrict__ b,
                                                       float* __restrict__ c, int m, int n, int k) {
    __shared__ __align__(16) ATile as[2];
    __shared__ __align__(16) BTile bs[2];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int row = blockIdx.y * 64, col = blockIdx.x * 64;
    auto load = [&](int slot, int start) {
        for (int i = threadIdx.x; i < 256; i += 128) {
            int r = i / 4, s = start + i % 4 * 8;
            bool inside = row + r < m && s < k;
            copy16(&as[slot][r][i % 4 * 8], inside ? a + (size_t)(row + r) * k + s : a, inside);
        }
        for (int i = threadIdx.x; i < 256; i += 128) {
            int r = start + i / 8, s = col + i % 8 * 8;
            bool inside = r < k && s < n;
            copy16(&bs[slot][i / 8][i % 8 * 8], inside ? b + (size_t)r * n + s : b, inside);
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
    };
    float sums[2][4][4] = {};
    int steps = (k + 31) / 32, wr = warp / 2 * 32, wc = warp % 2 * 32;
    load(0, 0);
    for (int step = 0; step < steps; ++step) {
        if (step + 1 < steps) {
            load((step + 1) % 2, (step + 1) * 32);
            asm volatile("cp.async.wait_group 1;" ::: "memory");
        } else {
            asm volatile("cp.async.wait_group 0;" ::: "memory");
        }
        __syncthreads();
#pragma unroll
        for (int kk = 0; kk < 32; kk += 16) {
            unsigned fa[2][4], fb[2][4];
            for (int i = 0; i < 2; ++i)
                asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                             : "=r"(fa[i][0]), "=r"(fa[i][1]), "=r"(fa[i][2]), "=r"(fa[i][3])
                             : "r"(at(&as[step % 2][wr + i * 16 + lane % 16][kk + lane / 16 * 8]))
                             : "memory");
            for (int j = 0; j < 2; ++j)
                asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                             : "=r"(fb[j][0]), "=r"(fb[j][1]), "=r"(fb[j][2]), "=r"(fb[j][3])
                             : "r"(at(&bs[step % 2][kk + lane % 16][wc + j * 16 + lane / 16 * 8]))
                             : "memory");
            for (int i = 0; i < 2; ++i)
                for (int j = 0; j < 4; ++j)
                    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
                                 "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                                 : "+f"(sums[i][j][0]), "+f"(sums[i][j][1]), "+f"(sums[i][j][2]), "+f"(sums[i][j][3])
                                 : "r"(fa[i][0]), "r"(fa[i][1]), "r"(fa[i][2]), "r"(fa[i][3]),
                                   "r"(fb[j / 2][j % 2 * 2]), "r"(fb[j / 2][j % 2 * 2 + 1]));
        }
        __syncthreads();
    }
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 4; ++j)
            for (int half = 0; half < 2; ++half) {
                int r = row + wr + i * 16 + half * 8 + lane / 4, s = col + wc + j * 8 + lane % 4 * 2;
                if (r >= m || s >= n) continue;
                float2* out = reinterpret_cast<float2*>(c + (size_t)r * n + s);
                float2 old = *out;
                *out = {old.x + sums[i][j][half * 2], old.y + sums[i][j][half * 2 + 1]};
            }
}

//| task = "gemm"
//| class = "warp-specialised"
//| does = "one warp fills a ring of three tiles by asynchronous copies that arrive at mbarriers, four warps multiply"
//| overrides = { "launch.grid" = ["cdiv(N, 64)", "cdiv(M, 64)"], "launch.block" = [160] }
#include <cuda_fp16.h>

constexpr int SLOTS = 3;

struct Ring {
    __half a[SLOTS][64][40], b[SLOTS][32][72];
    unsigned long long full[SLOTS], empty[SLOTS];
};

__device__ unsigned at(const void* p) {
    return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

__device__ void wait(unsigned long long* barrier, unsigned parity) {
    unsigned done = 0;
    while (!done)
        asm volatile("{\n .reg .pred p;\n mbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n selp.u32 %0, 1, 0, p;\n}"
                     : "=r"(done) : "r"(at(barrier)), "r"(parity) : "memory");
}

__device__ void copy16(void* to, const void* from, bool inside) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at(to)), "l"(from), "r"(inside ? 16 : 0) : "memory");
}

__device__ void produce(Ring& ring, const __half* a, const __half* b, int row, int col, int m, int n, int k) {
    int lane = threadIdx.x % 32;
    for (int step = 0; step * 32 < k; ++step) {
        int slot = step % SLOTS, start = step * 32;
        wait(&ring.empty[slot], step / SLOTS & 1 ^ 1);
        for (int i = lane; i < 256; i += 32) {
            int r = i / 4, s = start + i % 4 * 8;
            bool inside = row + r < m && s < k;
            copy16(&ring.a[slot][r][i % 4 * 8], inside ? a + (size_t)(row + r) * k + s : a, inside);
        }
        for (int i = lane; i < 256; i += 32) {
            int r = start + i / 8, s = col + i % 8 * 8;
            bool inside = r < k && s < n;
            copy16(&ring.b[slot][i / 8][i % 8 * 8], inside ? b + (size_t)r * n + s : b, inside);
        }
        asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(at(&ring.full[slot])) : "memory");
    }
    // Copies must have landed before the block's shared memory goes to another one.
    asm volatile("cp.async.wait_all;" ::: "memory");
}

__device__ void multiply(const Ring& ring, int slot, int wr, int wc, float (&sums)[2][4][4]) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int kk = 0; kk < 32; kk += 16) {
        unsigned fa[2][4], fb[2][4];
        for (int i = 0; i < 2; ++i)
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                         : "=r"(fa[i][0]), "=r"(fa[i][1]), "=r"(fa[i][2]), "=r"(fa[i][3])
                         : "r"(at(&ring.a[slot][wr + i * 16 + lane % 16][kk + lane / 16 * 8])) : "memory");
        for (int j = 0; j < 2; ++j)
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                         : "=r"(fb[j][0]), "=r"(fb[j][1]), "=r"(fb[j][2]), "=r"(fb[j][3])
                         : "r"(at(&ring.b[slot][kk + lane % 16][wc + j * 16 + lane / 16 * 8])) : "memory");
        for (int i = 0; i < 2; ++i)
            for (int j = 0; j < 4; ++j)
                asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
                             "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                             : "+f"(sums[i][j][0]), "+f"(sums[i][j][1]), "+f"(sums[i][j][2]), "+f"(sums[i][j][3])
                             : "r"(fa[i][0]), "r"(fa[i][1]), "r"(fa[i][2]), "r"(fa[i][3]),
                               "r"(fb[j / 2][j % 2 * 2]), "r"(fb[j / 2][j % 2 * 2 + 1]));
    }
}

extern "C" __global__ void gemm(const __half* a, const __half* b, float* c, int m, int n, int k) {
    __shared__ __align__(16) Ring ring;
    int row = blockIdx.y * 64, col = blockIdx.x * 64, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (threadIdx.x < SLOTS) {
        asm volatile("mbarrier.init.shared.b64 [%0], 32;" ::"r"(at(&ring.full[threadIdx.x])) : "memory");
        asm volatile("mbarrier.init.shared.b64 [%0], 4;" ::"r"(at(&ring.empty[threadIdx.x])) : "memory");
    }
    __syncthreads();
    if (warp == 4) return produce(ring, a, b, row, col, m, n, k);
    float sums[2][4][4] = {};
    int wr = warp / 2 * 32, wc = warp % 2 * 32;
    for (int step = 0; step * 32 < k; ++step) {
        wait(&ring.full[step % SLOTS], step / SLOTS & 1);
        multiply(ring, step % SLOTS, wr, wc, sums);
        __syncwarp();
        if (lane == 0)
            asm volatile("{\n .reg .b64 t;\n mbarrier.arrive.shared.b64 t, [%0];\n}" ::"r"(at(&ring.empty[step % SLOTS])) : "memory");
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

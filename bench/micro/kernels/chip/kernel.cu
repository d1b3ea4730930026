// What the whole GPU does: blocks started and ended, atomic additions, reads that hit the L2.

// Nothing, by as many blocks as are asked for.
extern "C" __global__ void empty(int* out, int repeats) {
    if (threadIdx.x == 0 && blockIdx.x == 0) out[0] = repeats;
}

// Each thread adds to a counter of its own, or all to one (SHARED).
template <bool SHARED, int UNROLL>
__global__ void atomics(int* counters, int repeats) {
    int* mine = counters + (SHARED ? 0 : blockIdx.x * blockDim.x + threadIdx.x);
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) asm volatile("red.global.add.s32 [%0], 1;" ::"l"(mine) : "memory");
}

// All blocks read the same UNROLL * blockDim.x * 16 * COPIES bytes, past their L1, repeats times.
template <int COPIES, int UNROLL>
__global__ void read_l2(const uint4* data, unsigned* out, int repeats) {
    unsigned total = 0;
#pragma unroll 1
    for (int r = 0; r < repeats; ++r) {
        const uint4* mine = data + (blockIdx.x + r) % COPIES * (UNROLL * blockDim.x) + threadIdx.x;
        uint4 values[UNROLL];
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) values[i] = __ldcg(mine + i * blockDim.x);
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) total += (values[i].x ^ values[i].y) + (values[i].z ^ values[i].w);
    }
    out[blockIdx.x * blockDim.x + threadIdx.x] = total;
}

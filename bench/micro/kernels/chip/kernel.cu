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

// Reads past the L1. The data are DEPTH chunks of UNROLL * blockDim.x * 16 bytes for each block; in turn r a block reads
// the chunk that is r * STEP after its own, so that in every turn all blocks read different lines, and each line is read
// by another SM than in the turn before.
template <int DEPTH, int STEP, int UNROLL>
__global__ void read_l2(const uint4* data, unsigned* out, int repeats) {
    unsigned total = 0, chunk = blockIdx.x;
#pragma unroll 1
    for (int r = 0; r < repeats; ++r) {
        const uint4* mine = data + static_cast<size_t>(chunk) * (UNROLL * blockDim.x) + threadIdx.x;
        uint4 values[UNROLL];
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) values[i] = __ldcg(mine + i * blockDim.x);
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) total += (values[i].x ^ values[i].y) + (values[i].z ^ values[i].w);
        chunk = (chunk + STEP) % (DEPTH * gridDim.x);
    }
    out[blockIdx.x * blockDim.x + threadIdx.x] = total;
}

// Data that is read once and, with WRITE, written elsewhere with each thread's number added: in turn r the blocks read
// the r-th row of chunks of UNROLL * blockDim.x * 16 bytes, one each.
template <bool WRITE, int UNROLL>
__global__ void stream(const uint4* data, uint4* out, int repeats) {
    unsigned total = 0;
#pragma unroll 1
    for (int r = 0; r < repeats; ++r) {
        const size_t first = (static_cast<size_t>(r) * gridDim.x + blockIdx.x) * (UNROLL * blockDim.x) + threadIdx.x;
        uint4 values[UNROLL];
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) values[i] = __ldcs(data + first + i * blockDim.x);
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) {
            values[i].x += threadIdx.x;
            if (WRITE) __stcs(out + first + i * blockDim.x, values[i]);
            else total += (values[i].x ^ values[i].y) + (values[i].z ^ values[i].w);
        }
    }
    if (!WRITE) reinterpret_cast<unsigned*>(out)[blockIdx.x * blockDim.x + threadIdx.x] = total;
}

// Each thread writes one word of each of UNROLL sectors of its own, a warp 32 words in 32 sectors; in the next turn the
// next word of them.
template <int UNROLL>
__global__ void scatter(int* out, int repeats) {
    int* mine = out + (static_cast<size_t>(blockIdx.x) * UNROLL * blockDim.x + threadIdx.x) * 8;
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i)
            asm volatile("st.global.u32 [%0], %1;" ::"l"(mine + i * blockDim.x * 8 + r % 8), "r"(r + 1) : "memory");
}

// KIB KiB of code in a straight line, run `turns` times by one warp of each block; the first block's cycles.
template <int KIB>
__global__ void code(float* out, long long* cycles, int turns, int repeats) {
    float sums[4] = {0.5f, 1.5f, 2.5f, 3.5f};
    const float scale = static_cast<float>(repeats);
    const long long start = clock64();
#pragma unroll 1
    for (int t = 0; t < turns; ++t)
#pragma unroll
        for (int i = 0; i < KIB * 64; ++i)
            asm volatile("fma.rn.f32 %0, %0, %1, %1;" : "+f"(sums[i % 4]) : "f"(scale));
    const long long stop = clock64();
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        out[0] = sums[0] + sums[1] + sums[2] + sums[3];
        cycles[0] = stop - start;
    }
}

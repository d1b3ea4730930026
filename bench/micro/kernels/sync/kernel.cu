// Barriers and fences in a row. A loop runs REPEATS times over UNROLL of them; cycles[0] is its time on clock64.

struct Block {
    static __device__ void sync() { __syncthreads(); }
};
// A barrier of its own number, for as many threads as the block has.
struct Named {
    static __device__ void sync() { asm volatile("bar.sync 1, %0;" ::"r"(blockDim.x) : "memory"); }
};
struct Warp {
    static __device__ void sync() { __syncwarp(); }
};
struct Fence {
    static __device__ void sync() { __threadfence(); }
};
// One warp comes 64 dependent additions later than the others.
struct Late {
    static __device__ void sync() {
        if (threadIdx.x < 32) {
            float x = threadIdx.x;
#pragma unroll
            for (int i = 0; i < 64; ++i) asm volatile("add.f32 %0, %0, 0f3f800000;" : "+f"(x));
            if (x < 0.0f) asm volatile("trap;");
        }
        __syncthreads();
    }
};

template <class Kind, int UNROLL>
__global__ void barrier(int* out, long long* cycles, int repeats) {
    __syncthreads();
    long long start = clock64();
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) Kind::sync();
    if (threadIdx.x == 0) {
        cycles[0] = clock64() - start;
        out[0] = UNROLL * repeats;
    }
}

// Two warps that hand 16 * WORDS4 bytes of each lane to and fro: store, barrier of the two, load. Two places take turns, so
// that no store meets a load of the turn before.
template <int WORDS4, int UNROLL>
__global__ void tiles(unsigned* out, long long* cycles, int repeats) {
    __shared__ uint4 places[2][WORDS4][32];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(&places[0][0][lane]));
    uint4 v[WORDS4];
#pragma unroll
    for (int w = 0; w < WORDS4; ++w) v[w] = {threadIdx.x, 1u, 2u, 3u};
    __syncthreads();
    long long start = clock64();
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) {
            const unsigned place = base + i % 2 * WORDS4 * 512;
            if (warp == i % 2)
#pragma unroll
                for (int w = 0; w < WORDS4; ++w)
                    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(place + w * 512), "r"(v[w].x), "r"(v[w].y), "r"(v[w].z), "r"(v[w].w) : "memory");
            asm volatile("bar.sync 1, 64;" ::: "memory");
            if (warp != i % 2)
#pragma unroll
                for (int w = 0; w < WORDS4; ++w)
                    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v[w].x), "=r"(v[w].y), "=r"(v[w].z), "=r"(v[w].w) : "r"(place + w * 512) : "memory");
        }
    if (threadIdx.x == 0) cycles[0] = clock64() - start;
    unsigned total = 0;
#pragma unroll
    for (int w = 0; w < WORDS4; ++w) total += v[w].x + v[w].y + v[w].z + v[w].w;
    out[threadIdx.x] = total;
}

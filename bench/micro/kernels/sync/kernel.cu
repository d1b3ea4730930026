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

// What blocks and warps of Hopper wait for: hand-offs by mbarrier, fences of the asynchronous engines, the other block of
// a cluster and its shared memory. A loop runs REPEATS times over UNROLL of them; cycles[0] is its time on clock64.

__device__ unsigned address(const void* p) {
    return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

__device__ void arrive(unsigned barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

__device__ void wait(unsigned barrier, unsigned parity) {
    asm volatile(
        "{\n.reg .pred done;\nagain:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra again;\n}" ::"r"(barrier),
        "r"(parity)
        : "memory");
}

// Two warps that take turns: each waits for its own mbarrier and arrives at the other's. A step is two hand-offs.
template <int UNROLL>
__global__ void handoff(int* out, long long* cycles, int repeats) {
    __shared__ __align__(8) unsigned long long barriers[2];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (threadIdx.x < 2) asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(address(barriers + threadIdx.x)) : "memory");
    __syncthreads();
    const unsigned mine = address(barriers + warp), other = address(barriers + 1 - warp);
    unsigned parity = 0;
    long long start = clock64();
    if (threadIdx.x == 0) arrive(other);
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) {
            wait(mine, parity);
            if (lane == 0) arrive(other);
            parity ^= 1;
        }
    if (threadIdx.x == 0) {
        cycles[0] = clock64() - start;
        out[0] = UNROLL * repeats;
    }
}

struct AsyncProxy {
    static __device__ void sync() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
};
struct Cluster {
    static __device__ void sync() {
        asm volatile("barrier.cluster.arrive.relaxed.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
    }
};
// With a fence of all that the threads have written.
struct ClusterRelease {
    static __device__ void sync() {
        asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
    }
};

// A warp group that gives registers back and gets them again. A step is both.
template <int UNROLL>
__global__ void __launch_bounds__(128, 1) registers(int* out, long long* cycles, int repeats) {
    __syncthreads();
    long long start = clock64();
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) {
            asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
            asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
        }
    __syncthreads();
    if (threadIdx.x == 0) {
        cycles[0] = clock64() - start;
        out[0] = UNROLL * repeats;
    }
}

template <class Kind, int UNROLL>
__global__ void __cluster_dims__(2, 1, 1) pair(int* out, long long* cycles, int repeats) {
    ClusterRelease::sync();
    long long start = clock64();
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) Kind::sync();
    if (threadIdx.x == 0 && blockIdx.x == 0) {
        cycles[0] = clock64() - start;
        out[0] = UNROLL * repeats;
    }
}

// Block 0 follows addresses in the shared memory of block 1, round a ring of 32 words, all lanes on one address.
template <int UNROLL>
__global__ void __cluster_dims__(2, 1, 1) distributed(int* out, long long* cycles, int repeats) {
    __shared__ unsigned ring[32];
    unsigned first;
    asm volatile("mapa.shared::cluster.u32 %0, %1, 1;" : "=r"(first) : "r"(address(ring)));
    ring[threadIdx.x % 32] = first + 4 * ((threadIdx.x + 1) % 32);
    ClusterRelease::sync();
    unsigned p = first;
    if (blockIdx.x == 0) {
        long long start = clock64();
#pragma unroll 1
        for (int r = 0; r < repeats; ++r)
#pragma unroll
            for (int i = 0; i < UNROLL; ++i) asm volatile("ld.shared::cluster.u32 %0, [%0];" : "+r"(p)::"memory");
        if (threadIdx.x == 0) {
            cycles[0] = clock64() - start;
            out[0] = (p - first) / 4 + repeats;
        }
    }
    ClusterRelease::sync();
}

// Copies by TMA from global to shared memory, SLOTS of BYTES in flight; a loop makes REPEATS rounds of UNROLL copies.
// With one slot each copy waits for the one before: latency. With several: what the engine moves.

__device__ unsigned address(const void* p) {
    return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

__device__ void copy(unsigned to, const char* from, int bytes, unsigned barrier) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to), "l"(from),
                 "r"(bytes), "r"(barrier)
                 : "memory");
}

__device__ void wait(unsigned barrier, unsigned parity) {
    asm volatile(
        "{.reg .pred done; again: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1; @!done bra again;}" ::"r"(barrier),
        "r"(parity)
        : "memory");
}

template <int BYTES, int SLOTS, int UNROLL>
__global__ void bulk(const char* data, int* out, long long* cycles, int repeats) {
    extern __shared__ __align__(128) char tiles[];
    __shared__ __align__(8) unsigned long long barriers[SLOTS];
    if (threadIdx.x > 0) return;
    for (int s = 0; s < SLOTS; ++s) asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(address(barriers + s)) : "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    const char* from = data + static_cast<long long>(blockIdx.x) * SLOTS * BYTES;
    long long start = clock64();
    for (int s = 0; s < SLOTS; ++s) copy(address(tiles + s * BYTES), from + s * BYTES, BYTES, address(barriers + s));
    unsigned parity = 0;
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) {
#pragma unroll
            for (int s = 0; s < SLOTS; ++s) {
                wait(address(barriers + s), parity);
                copy(address(tiles + s * BYTES), from + s * BYTES, BYTES, address(barriers + s));
            }
            parity ^= 1;
        }
    for (int s = 0; s < SLOTS; ++s) wait(address(barriers + s), parity);
    if (blockIdx.x == 0) cycles[0] = clock64() - start;
    out[blockIdx.x] = reinterpret_cast<int*>(tiles)[SLOTS * BYTES / 4 - 1];
}

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

// A tensor map made here: halves in rows of 128 bytes, PITCH bytes apart, in tiles of ROWS rows, swizzled by 128 bytes.
// PTX ISA, tensormap.replace: elements of kind 6 are halves, swizzle mode 3 is that of 128 bytes.
template <int ROWS, int PITCH, int TILES>
__device__ void describe(unsigned map, const void* data) {
    asm volatile("tensormap.replace.tile.global_address.shared::cta.b1024.b64 [%0], %1;" ::"r"(map), "l"(data) : "memory");
    asm volatile("tensormap.replace.tile.rank.shared::cta.b1024.b32 [%0], 1;" ::"r"(map) : "memory");
    asm volatile("tensormap.replace.tile.box_dim.shared::cta.b1024.b32 [%0], 0, 64;" ::"r"(map) : "memory");
    asm volatile("tensormap.replace.tile.box_dim.shared::cta.b1024.b32 [%0], 1, %1;" ::"r"(map), "r"(ROWS) : "memory");
    asm volatile("tensormap.replace.tile.global_dim.shared::cta.b1024.b32 [%0], 0, 64;" ::"r"(map) : "memory");
    asm volatile("tensormap.replace.tile.global_dim.shared::cta.b1024.b32 [%0], 1, %1;" ::"r"(map), "r"(ROWS * TILES) : "memory");
    asm volatile("tensormap.replace.tile.global_stride.shared::cta.b1024.b64 [%0], 0, %1;" ::"r"(map), "l"((long long)PITCH) : "memory");
    asm volatile("tensormap.replace.tile.element_stride.shared::cta.b1024.b32 [%0], 0, 1;" ::"r"(map) : "memory");
    asm volatile("tensormap.replace.tile.element_stride.shared::cta.b1024.b32 [%0], 1, 1;" ::"r"(map) : "memory");
    asm volatile("tensormap.replace.tile.elemtype.shared::cta.b1024.b32 [%0], 6;" ::"r"(map) : "memory");
    asm volatile("tensormap.replace.tile.interleave_layout.shared::cta.b1024.b32 [%0], 0;" ::"r"(map) : "memory");
    asm volatile("tensormap.replace.tile.swizzle_mode.shared::cta.b1024.b32 [%0], 3;" ::"r"(map) : "memory");
    asm volatile("tensormap.replace.tile.fill_mode.shared::cta.b1024.b32 [%0], 0;" ::"r"(map) : "memory");
}

__device__ void publish(char* to, unsigned map) {
    asm volatile("tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [%0], [%1], 128;" ::"l"(to),
                 "r"(map)
                 : "memory");
    asm volatile("fence.proxy.tensormap::generic.acquire.gpu [%0], 128;" ::"l"(to) : "memory");
}

__device__ void copy_tile(unsigned to, const char* map, int row, int bytes, unsigned barrier) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(to),
                 "l"(map), "r"(0), "r"(row), "r"(barrier)
                 : "memory");
}

// The same as `bulk` through a tensor map: SLOTS tiles of ROWS rows of 128 bytes.
template <int ROWS, int PITCH, int SLOTS, int UNROLL>
__global__ void tensor(const char* data, char* map, int* out, long long* cycles, int repeats) {
    extern __shared__ __align__(1024) char tiles[];
    __shared__ __align__(128) int local[32];
    __shared__ __align__(8) unsigned long long barriers[SLOTS];
    constexpr int BYTES = 128 * ROWS;
    local[threadIdx.x] = 0;
    __syncwarp();
    if (threadIdx.x == 0) describe<ROWS, PITCH, SLOTS>(address(local), data);
    __syncwarp();
    publish(map, address(local));
    if (threadIdx.x > 0) return;
    for (int s = 0; s < SLOTS; ++s) asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(address(barriers + s)) : "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    long long start = clock64();
    for (int s = 0; s < SLOTS; ++s) copy_tile(address(tiles + s * BYTES), map, s * ROWS, BYTES, address(barriers + s));
    unsigned parity = 0;
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) {
#pragma unroll
            for (int s = 0; s < SLOTS; ++s) {
                wait(address(barriers + s), parity);
                copy_tile(address(tiles + s * BYTES), map, s * ROWS, BYTES, address(barriers + s));
            }
            parity ^= 1;
        }
    for (int s = 0; s < SLOTS; ++s) wait(address(barriers + s), parity);
    cycles[0] = clock64() - start;
    // The first row of eight is not moved by the swizzle.
    out[0] = reinterpret_cast<int*>(tiles)[(SLOTS - 1) * BYTES / 4];
}

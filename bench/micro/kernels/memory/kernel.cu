// Loads, stores and atomics one after the other: chases for latency, rows of independent accesses for throughput.
// A loop runs REPEATS times over UNROLL accesses; cycles[0] is its time on clock64.

__device__ void record(long long* cycles, long long start) {
    __syncthreads();
    if (threadIdx.x == 0 && blockIdx.x == 0) cycles[0] = clock64() - start;
}

// Where a chase goes: each element holds the address of the next.
struct L1 {
    static __device__ void step(unsigned long long& p) { asm volatile("ld.global.ca.u64 %0, [%0];" : "+l"(p)::"memory"); }
};
struct L2 {
    static __device__ void step(unsigned long long& p) { asm volatile("ld.global.cg.u64 %0, [%0];" : "+l"(p)::"memory"); }
};

// One warp, all lanes on one address, round a ring of `elements` lines of 128 bytes. end[0]: how far it came.
template <class Level, int UNROLL>
__global__ void chase(unsigned long long* ring, long long* end, long long* cycles, int elements, int repeats) {
    for (int i = threadIdx.x; i < elements; i += blockDim.x)
        ring[16 * i] = reinterpret_cast<unsigned long long>(ring + 16 * ((i + 1) % elements));
    __syncthreads();
    unsigned long long p = reinterpret_cast<unsigned long long>(ring);
#pragma unroll 1
    for (int i = 0; i < elements; ++i) Level::step(p);
    long long start = clock64();
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) Level::step(p);
    record(cycles, start);
    if (threadIdx.x == 0) end[0] = (p - reinterpret_cast<unsigned long long>(ring)) / 128;
}

// Lines that have not been touched: `zeros` holds nothing but zeros, so that an address can hang on the last value and
// still be anywhere. The 64-bit addition that this takes is in the chain as well.
template <int UNROLL, int STRIDE>
__global__ void chase_far(const char* __restrict__ zeros, long long* end, long long* cycles, int repeats) {
    long long offset = 0;
    long long start = clock64();
#pragma unroll 1
    for (int r = 0; r < repeats; ++r) {
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) {
            const char* place = zeros + i * STRIDE + offset;
            asm volatile("ld.global.cg.u64 %0, [%1];" : "=l"(offset) : "l"(place) : "memory");
        }
        zeros += UNROLL * STRIDE;
    }
    record(cycles, start);
    if (threadIdx.x == 0) end[0] = offset + repeats;
}

// Lane l starts at element STRIDE * l, so that lanes meet in a bank where STRIDE is even.
template <int UNROLL, int STRIDE>
__global__ void chase_shared(long long* end, long long* cycles, int elements, int repeats) {
    __shared__ unsigned ring[1024];
    unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(ring));
    for (int i = threadIdx.x; i < elements; i += blockDim.x) ring[i] = base + 4 * ((i + 1) % elements);
    __syncthreads();
    unsigned p = base + 4 * (STRIDE * threadIdx.x % elements);
    long long start = clock64();
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) asm volatile("ld.shared.u32 %0, [%0];" : "+r"(p)::"memory");
    record(cycles, start);
    end[threadIdx.x] = (p - base) / 4;
}

// Each of LINES lines, STRIDE bytes apart, holds its own address, and is loaded past the L1 UNROLL times in a chain;
// the least time of `repeats` such chains is that of the line. cycles[0] is the time of the line that PERCENT of them
// are quicker than: where partitions of the L2 are near and far, low and high percentages tell them apart.
template <int LINES, int STRIDE, int PERCENT, int UNROLL>
__global__ void places(char* lines, int* out, long long* cycles, int repeats) {
    __shared__ int taken[LINES];
    for (int n = threadIdx.x; n < LINES; n += blockDim.x) {
        char* place = lines + static_cast<size_t>(n) * STRIDE;
        *reinterpret_cast<unsigned long long*>(place) = reinterpret_cast<unsigned long long>(place);
    }
    __syncthreads();
#pragma unroll 1
    for (int n = 0; n < LINES; ++n) {
        unsigned long long p = reinterpret_cast<unsigned long long>(lines + static_cast<size_t>(n) * STRIDE);
        L2::step(p);
        int least = 1 << 30;
#pragma unroll 1
        for (int r = 0; r < repeats; ++r) {
            long long start = clock64();
#pragma unroll
            for (int i = 0; i < UNROLL; ++i) L2::step(p);
            if (p == 0) asm volatile("trap;");  // so that the clock is read when the last load is there
            least = min(least, static_cast<int>(clock64() - start));
        }
        if (threadIdx.x == 0) taken[n] = least;
    }
    __syncthreads();
#pragma unroll 1
    for (int n = threadIdx.x; n < LINES; n += blockDim.x) {
        int quicker = 0;
#pragma unroll 1
        for (int other = 0; other < LINES; ++other)
            quicker += taken[other] < taken[n] || (taken[other] == taken[n] && other < n);
        if (quicker == LINES * PERCENT / 100) {
            cycles[0] = taken[n];
            out[0] = repeats;
        }
    }
}

// Loads of WORDS words that do not wait for each other; all that they bring is summed.
template <int WORDS>
struct Load;
template <>
struct Load<1> {
    static __device__ unsigned global(const unsigned* p) {
        unsigned v;
        asm("ld.global.ca.u32 %0, [%1];" : "=r"(v) : "l"(p));
        return v;
    }
    static __device__ unsigned shared(unsigned p) {
        unsigned v;
        asm("ld.shared.u32 %0, [%1];" : "=r"(v) : "r"(p));
        return v;
    }
};
template <>
struct Load<2> {
    static __device__ unsigned global(const unsigned* p) {
        unsigned v, w;
        asm("ld.global.ca.v2.u32 {%0, %1}, [%2];" : "=r"(v), "=r"(w) : "l"(p));
        return v + w;
    }
    static __device__ unsigned shared(unsigned p) {
        unsigned v, w;
        asm("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(v), "=r"(w) : "r"(p));
        return v + w;
    }
};
template <>
struct Load<4> {
    static __device__ unsigned global(const unsigned* p) {
        unsigned v, w, x, y;
        asm("ld.global.ca.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v), "=r"(w), "=r"(x), "=r"(y) : "l"(p));
        return v + w + x + y;
    }
    static __device__ unsigned shared(unsigned p) {
        unsigned v, w, x, y;
        asm("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v), "=r"(w), "=r"(x), "=r"(y) : "r"(p));
        return v + w + x + y;
    }
};

// 128 bytes, in words.
constexpr int LINE = 32;

template <int UNROLL>
__device__ unsigned sum(const unsigned (&values)[UNROLL]) {
    unsigned total = 0;
#pragma unroll
    for (int i = 0; i < UNROLL; ++i) total += values[i];
    return total;
}

// Global loads that hit the L1: thread t reads element STRIDE * (t % 64), then the ones 4, 8, ... 28 elements farther
// on, so that a warp's loads begin at every fourth element of a line; and all of these again. `cycles` holds 0 at first,
// which the compiler does not know, so that no load can be left out. Warps of the first SUB_CORES sub-cores of four take
// part in the loop: warp w runs on sub-core w % 4.
template <int WORDS, int STRIDE, int SUB_CORES, int UNROLL>
__global__ void strides(const unsigned* data, unsigned* out, long long* cycles, int repeats) {
    const long long zero = cycles[0];
    const unsigned* place = data + WORDS * STRIDE * (threadIdx.x % 64);
    unsigned total = 0;
    for (int i = 0; i < 8; ++i) total += Load<WORDS>::global(place + 4 * WORDS * i);
    const int runs = threadIdx.x / 32 % 4 < SUB_CORES ? repeats : 0;
    __syncthreads();
    long long start = clock64();
#pragma unroll 1
    for (int r = 0; r < runs; ++r) {
        unsigned values[UNROLL];
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) {
            if (i % 8 == 0) place += zero;
            values[i] = Load<WORDS>::global(place + 4 * WORDS * (i % 8));
        }
        total += sum(values);
    }
    record(cycles, start);
    out[threadIdx.x] = total;
}

// Loads of shared memory, where lanes whose words are a multiple of 32 apart meet in a bank: lane l reads element
// STRIDE * l, then the same a line farther on, and so on. From run to run the place moves by a line, so that no load
// can be left out.
template <int WORDS, int STRIDE, int UNROLL>
__global__ void conflicts(const unsigned* data, unsigned* out, long long* cycles, int repeats) {
    constexpr int SIZE = WORDS * STRIDE * 32 + LINE * (UNROLL + 1);
    __shared__ __align__(16) unsigned words[SIZE];
    for (int i = threadIdx.x; i < SIZE; i += blockDim.x) words[i] = data[i];
    __syncthreads();
    int first = WORDS * STRIDE * (threadIdx.x % 32);
    unsigned mine = static_cast<unsigned>(__cvta_generic_to_shared(words + first));
    unsigned total = 0;
    for (int i = 0; i <= UNROLL; ++i) total += Load<WORDS>::shared(mine + 4 * LINE * i);
    __syncthreads();
    long long start = clock64();
#pragma unroll 1
    for (int r = 0; r < repeats; ++r) {
        unsigned place = mine + 4 * LINE * (r % 2);
        unsigned values[UNROLL];
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) values[i] = Load<WORDS>::shared(place + 4 * LINE * i);
        total += sum(values);
    }
    record(cycles, start);
    out[threadIdx.x] = total;
}

// What a warp does with shared memory, as a chain: a word that is stored and loaded again, a copy of 16 bytes for each
// lane from the L2 that is waited for, and additions to a word of each lane's own.
struct StoreLoad {
    static __device__ void step(unsigned place, const char*, unsigned& x) {
        asm volatile("st.volatile.shared.u32 [%1], %0;\nld.volatile.shared.u32 %0, [%1];" : "+r"(x) : "r"(place) : "memory");
    }
};
struct CopyAsync {
    static __device__ void step(unsigned place, const char* from, unsigned&) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\ncp.async.commit_group;\ncp.async.wait_group 0;" ::"r"(place), "l"(from)
                     : "memory");
    }
};
struct Add {
    static __device__ void step(unsigned place, const char*, unsigned& x) {
        asm volatile("red.shared.add.u32 [%0], %1;" ::"r"(place), "r"(x) : "memory");
    }
};

template <class Kind, int PITCH, int UNROLL>
__global__ void shared_chain(const char* data, unsigned* out, long long* cycles, int repeats) {
    extern __shared__ __align__(128) char words[];
    unsigned place = static_cast<unsigned>(__cvta_generic_to_shared(words)) + PITCH * threadIdx.x;
    const char* from = data + 16 * threadIdx.x;
    unsigned x = threadIdx.x + 1;
    asm volatile("st.shared.u32 [%0], %1;" ::"r"(place), "r"(x) : "memory");
    __syncthreads();
    long long start = clock64();
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) Kind::step(place, from, x);
    record(cycles, start);
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(x) : "r"(place) : "memory");
    out[threadIdx.x] = x;
}

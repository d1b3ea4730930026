// mma.sync and ldmatrix in chains, as in the pipe kernels: CHAINS accumulators in each warp, UNROLL products onto each.
// A loop runs REPEATS times; cycles[0] is its time on clock64. All elements of a and b are 1, so each product adds K.

// NAME, instruction, type of an accumulator, how many, its constraint, and the bits of a and b.
#define KIND_F32(NAME, INSTRUCTION, BITS) \
    struct NAME { \
        float c[4]; \
        __device__ void zero() { c[0] = c[1] = c[2] = c[3] = 0.0f; } \
        __device__ double sum() const { return c[0] + c[1] + c[2] + c[3]; } \
        __device__ void link() { \
            unsigned one = BITS; \
            asm volatile(INSTRUCTION " {%0, %1, %2, %3}, {%4, %4, %4, %4}, {%4, %4}, {%0, %1, %2, %3};" \
                         : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) \
                         : "r"(one)); \
        } \
    };

KIND_F32(Half, "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", 0x3c003c00u)
KIND_F32(Brain, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", 0x3f803f80u)
KIND_F32(Tf32, "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", 0x3f800000u)

// The sums in half precision too, two of them in a register.
struct HalfSums {
    unsigned c[2];
    __device__ void zero() { c[0] = c[1] = 0u; }
    static __device__ double pair(unsigned word) {
        float low, high;
        asm("{ .reg .f16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h; }"
            : "=f"(low), "=f"(high)
            : "r"(word));
        return low + high;
    }
    __device__ double sum() const { return pair(c[0]) + pair(c[1]); }
    __device__ void link() {
        unsigned one = 0x3c003c00u;
        asm volatile(
            "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0, %1}, {%2, %2, %2, %2}, {%2, %2}, {%0, %1};"
            : "+r"(c[0]), "+r"(c[1])
            : "r"(one));
    }
};

struct Int8 {
    int c[4];
    __device__ void zero() { c[0] = c[1] = c[2] = c[3] = 0; }
    __device__ double sum() const { return c[0] + c[1] + c[2] + c[3]; }
    __device__ void link() {
        unsigned one = 0x01010101u;
        asm volatile(
            "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %4, %4, %4}, {%4, %4}, {%0, %1, %2, %3};"
            : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
            : "r"(one));
    }
};

template <class Kind, int CHAINS, int UNROLL>
__global__ void mma(double* out, long long* cycles, int repeats) {
    Kind chains[CHAINS];
    for (int c = 0; c < CHAINS; ++c) chains[c].zero();
    __syncthreads();
    long long start = clock64();
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i)
#pragma unroll
            for (int c = 0; c < CHAINS; ++c) chains[c].link();
    __syncthreads();
    if (threadIdx.x == 0) cycles[0] = clock64() - start;
    double total = 0.0;
    for (int c = 0; c < CHAINS; ++c) total += chains[c].sum();
    out[threadIdx.x] = total;
}

// 1, 2 or 4 matrices of 8 x 8 halves; the first register of each lane is kept.
template <int MATRICES>
struct Matrices;
template <>
struct Matrices<1> {
    static __device__ void load(unsigned& p) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%0];" : "+r"(p)::"memory");
    }
};
template <>
struct Matrices<2> {
    static __device__ void load(unsigned& p) {
        unsigned q;
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%0];" : "+r"(p), "=r"(q)::"memory");
    }
};
template <>
struct Matrices<4> {
    static __device__ void load(unsigned& p) {
        unsigned q, r, s;
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%0];"
                     : "+r"(p), "=r"(q), "=r"(r), "=r"(s)::"memory");
    }
};

// Each lane gives a row of its own, 16 bytes after the one before, so that no two rows meet in a bank. Of the first
// matrix a lane gets the word of its own number, which holds the address of its row: that of its next load.
template <int MATRICES, int UNROLL>
__global__ void ldmatrix(int* out, long long* cycles, int repeats) {
    __shared__ __align__(128) unsigned tile[128];
    unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(tile));
    for (int i = threadIdx.x; i < 128; i += blockDim.x) tile[i] = base + 16 * (i % 32);
    __syncthreads();
    unsigned p = base + 16 * (threadIdx.x % 32);
    long long start = clock64();
#pragma unroll 1
    for (int n = 0; n < repeats; ++n)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) Matrices<MATRICES>::load(p);
    __syncthreads();
    if (threadIdx.x == 0) cycles[0] = clock64() - start;
    out[threadIdx.x] = (p - base) + repeats;
}

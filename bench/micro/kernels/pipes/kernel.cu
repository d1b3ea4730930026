// One instruction of one pipe, over and over: each thread has CHAINS chains of it, every link of which needs the one
// before. With one chain and one warp a link costs the latency; with many, what the pipe accepts.
// A loop runs REPEATS times over UNROLL links of every chain. cycles[0] is the time of the loop on clock64.

// Two registers that take turns where one alone would let the assembler fold two links into one.
struct Word {
    unsigned x, y;
};

struct Triple {
    unsigned x, y, z;
};

struct Number {
    unsigned x;
};
// Offset of one of eight words, each of which holds that of the next.
struct Place {
    unsigned x;
};
__constant__ unsigned ring[8] = {4, 8, 12, 16, 20, 24, 28, 0};

__device__ float seed(float, int lane) {
    return 0.25f + 0.001f * lane;
}
__device__ double seed(double, int lane) {
    return 0.25 + 0.001 * lane;
}
__device__ unsigned seed(unsigned, int lane) {
    return 0x2c002c00u + lane;
}
__device__ Word seed(Word, int lane) {
    return {3u + 5u * lane, 0x9e3779b9u + lane};
}

__device__ Triple seed(Triple, int lane) {
    return {3u + 5u * lane, 0x9e3779b9u + lane, 0x85ebca6bu - lane};
}
__device__ unsigned long long seed(unsigned long long, int lane) {
    return (1ull << 20) + lane;
}
__device__ Number seed(Number, int) {
    return {0u};
}
// The first in all threads, which the compiler does not know.
__device__ Place seed(Place, int) {
    return {4u * threadIdx.y};
}

__device__ double value(float x) {
    return x;
}
__device__ double value(double x) {
    return x;
}
__device__ double value(unsigned x) {
    return x;
}
__device__ double value(Word w) {
    return w.x ^ w.y;
}

__device__ double value(Triple w) {
    return w.x ^ w.y ^ w.z;
}
__device__ double value(unsigned long long x) {
    return x;
}
__device__ double value(Number n) {
    return n.x < 0x7fffffffu;
}
__device__ double value(Place p) {
    return p.x;
}

struct Fma {
    using T = float;
    static __device__ void link(T& x, int) { x = fmaf(x, 0.5f, 0.375f); }
};
struct Fma64 {
    using T = double;
    static __device__ void link(T& x, int) { x = fma(x, 0.5, 0.375); }
};
struct Fma16x2 {
    using T = unsigned;
    // 0x3800 is 0.5 and 0x3400 is 0.25, and with one block the low halves are the next numbers. The compiler must not
    // know them: equal halves would be one operand of a form that only one of the two pipes of GA100 and Hopper has.
    static __device__ void link(T& x, int) {
        asm volatile("fma.rn.f16x2 %0, %0, %1, %2;" : "+r"(x) : "r"(0x38003800u + gridDim.x), "r"(0x34003400u + gridDim.x));
    }
};
struct Add32 {
    using T = Triple;
    // Three operands each, and no two alike: an addition of two may go to the multipliers as well.
    static __device__ void link(T& w, int i) {
        if (i % 3 == 0) w.x += w.y + threadIdx.x;
        else if (i % 3 == 1) w.y += w.z + blockDim.x;
        else w.z += w.x + gridDim.x;
    }
};
struct Multiply32 {
    using T = unsigned;
    static __device__ void link(T& x, int) { x = x * x + 12345u; }
};
struct MultiplyWide {
    using T = unsigned long long;
    static __device__ void link(T& x, int) {
        x += static_cast<unsigned long long>(static_cast<unsigned>(x)) * (blockDim.x + 12345u);
    }
};
struct Logic {
    using T = Word;
    static __device__ void link(T& w, int i) {
        if (i % 2) asm volatile("lop3.b32 %0, %0, %1, 0x0f0f3355, 0x6a;" : "+r"(w.x) : "r"(w.y));
        else asm volatile("lop3.b32 %0, %0, %1, 0x0f0f3355, 0x6a;" : "+r"(w.y) : "r"(w.x));
    }
};
struct Shift {
    using T = Word;
    static __device__ void link(T& w, int i) {
        if (i % 2) asm volatile("shf.l.wrap.b32 %0, %0, %1, 5;" : "+r"(w.x) : "r"(w.y));
        else asm volatile("shf.l.wrap.b32 %0, %0, %1, 5;" : "+r"(w.y) : "r"(w.x));
    }
};
struct MinMax {
    using T = Word;
    static __device__ void link(T& w, int i) {
        if (i % 2) asm volatile("max.s32 %0, %0, %1;" : "+r"(w.x) : "r"(w.y));
        else asm volatile("min.s32 %0, %0, %1;" : "+r"(w.y) : "r"(w.x));
    }
};
struct Exp2 {
    using T = float;
    static __device__ void link(T& x, int) { asm volatile("{.reg .f32 t; neg.f32 t, %0; ex2.approx.ftz.f32 %0, t;}" : "+f"(x)); }
};
struct Popc {
    using T = unsigned;
    static __device__ void link(T& x, int) { asm volatile("popc.b32 %0, %0;" : "+r"(x)); }
};
// The bits of a result are the next operand, so that nothing but conversions is in the chain.
struct FloatToHalf {
    using T = unsigned;
    static __device__ void link(T& x, int) {
        asm volatile("{.reg .f32 t; mov.b32 t, %0; cvt.rn.f16x2.f32 %0, t, t;}" : "+r"(x));
    }
};
struct FloatToInt {
    using T = unsigned;
    static __device__ void link(T& x, int) {
        asm volatile("{.reg .f32 t; mov.b32 t, %0; cvt.rni.s32.f32 %0, t;}" : "+r"(x));
    }
};
struct Shuffle {
    using T = unsigned;
    static __device__ void link(T& x, int) { x = __shfl_xor_sync(~0u, x, 5); }
};
// The lanes vote on whether the last ballot and 1 have their bit.
struct Vote {
    using T = unsigned;
    static __device__ void link(T& x, int) { x = __ballot_sync(~0u, x & 1u << threadIdx.x % 32) + 1; }
};
struct Redux {
    using T = unsigned;
    static __device__ void link(T& x, int) { asm volatile("redux.sync.add.u32 %0, %0, 0xffffffff;" : "+r"(x)); }
};
struct Match {
    using T = unsigned;
    static __device__ void link(T& x, int) { asm volatile("match.any.sync.b32 %0, %0, 0xffffffff;" : "+r"(x)); }
};
// The number of the SM is read again where the last that was read is no such number.
struct Special {
    using T = Number;
    static __device__ void link(T& n, int) {
        asm volatile("{\n.reg .pred p;\nsetp.ne.u32 p, %0, 0x7fffffff;\n@p mov.u32 %0, %%smid;\n}" : "+r"(n.x));
    }
};
struct Constant {
    using T = Place;
    static __device__ void link(T& p, int) {
        p.x = *reinterpret_cast<const unsigned*>(reinterpret_cast<const char*>(ring) + p.x);
    }
};
// Quotients of a number and the last quotient.
struct DivU32 {
    using T = unsigned;
    static __device__ void link(T& x, int) { x = 0x90000000u / x; }
};
struct DivU64 {
    using T = unsigned long long;
    static __device__ void link(T& x, int) { x = 0x4000000000000000ull / x; }
};
struct DivF32 {
    using T = float;
    static __device__ void link(T& x, int) { x = __fdiv_rn(1.5f, x); }
};
struct RcpF32 {
    using T = float;
    static __device__ void link(T& x, int) { x = __frcp_rn(x); }
};
struct DivF64 {
    using T = double;
    static __device__ void link(T& x, int) { x = __ddiv_rn(1.5, x); }
};

template <class Op, int CHAINS, int UNROLL>
__global__ void pipe(double* out, long long* cycles, int repeats) {
    typename Op::T chains[CHAINS];
    for (int c = 0; c < CHAINS; ++c) chains[c] = seed(chains[c], threadIdx.x + c);
    __syncthreads();
    long long start = clock64();
#pragma unroll 1
    for (int r = 0; r < repeats; ++r)
#pragma unroll
        for (int i = 0; i < UNROLL; ++i)
#pragma unroll
            for (int c = 0; c < CHAINS; ++c) Op::link(chains[c], i);
    __syncthreads();
    if (threadIdx.x == 0 && blockIdx.x == 0) cycles[0] = clock64() - start;
    double total = 0.0;
    for (int c = 0; c < CHAINS; ++c) total += value(chains[c]);
    out[blockIdx.x * blockDim.x + threadIdx.x] = total;
}

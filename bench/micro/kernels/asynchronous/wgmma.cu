// wgmma in rows: one warp group, UNROLL products of 64 x N and 32 bytes of depth onto one accumulator in each of REPEATS
// runs of the loop, of which each waits for its last product. cycles[0] is the time of the loop on clock64. All elements
// of both operands are 1, so that every product adds its depth, and the order of a tile's elements does not matter.

// Numbers of the operands of an instruction with so many accumulators.
#define D4 "%0, %1, %2, %3"
#define D8 D4 ", %4, %5, %6, %7"
#define D16 D8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define D32 D16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define D64 D32 \
    ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
    ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define D128 D64 \
    ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79" \
    ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95" \
    ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
    ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

// The accumulators c[i], c[i + 1] ... themselves; T is the constraint of their type.
#define C4(T, i) T(c[i]), T(c[i + 1]), T(c[i + 2]), T(c[i + 3])
#define C8(T, i) C4(T, i), C4(T, i + 4)
#define C16(T, i) C8(T, i), C8(T, i + 8)
#define C32(T, i) C16(T, i), C16(T, i + 16)
#define C64(T, i) C32(T, i), C32(T, i + 32)
#define C128(T, i) C64(T, i), C64(T, i + 64)

template <class Format, bool REGISTERS, int N>
struct Product;

// COUNT accumulators of N columns, and the numbers of the four operands that come after them; a is a tile in shared
// memory or, with REGISTERS, in four registers of each thread.
#define PRODUCT(FORMAT, N, COUNT, A0, A1, A2, A3, B) \
    template <> \
    struct Product<FORMAT, false, N> { \
        static __device__ void add(FORMAT::T (&c)[N / 2], unsigned long long a, unsigned long long b) { \
            asm volatile("{\n.reg .pred on;\nsetp.eq.u32 on, 0, 0;\nwgmma.mma_async.sync.aligned.m64n" #N FORMAT##_TYPES \
                         " {" D##COUNT "}, %" #A0 ", %" #A1 ", on" FORMAT##_TAIL FORMAT##_ORDER ";\n}" \
                         : C##COUNT(FORMAT##_C, 0) \
                         : "l"(a), "l"(b)); \
        } \
    }; \
    template <> \
    struct Product<FORMAT, true, N> { \
        static __device__ void add(FORMAT::T (&c)[N / 2], unsigned long long, unsigned long long b) { \
            unsigned one = FORMAT::ONES; \
            asm volatile("{\n.reg .pred on;\nsetp.eq.u32 on, 0, 0;\nwgmma.mma_async.sync.aligned.m64n" #N FORMAT##_TYPES \
                         " {" D##COUNT "}, {%" #A0 ", %" #A1 ", %" #A2 ", %" #A3 "}, %" #B ", on" FORMAT##_TAIL \
                             FORMAT##_ORDER_B ";\n}" \
                         : C##COUNT(FORMAT##_C, 0) \
                         : "r"(one), "r"(one), "r"(one), "r"(one), "l"(b)); \
        } \
    };

#define WIDTHS(FORMAT) \
    PRODUCT(FORMAT, 8, 4, 4, 5, 6, 7, 8) \
    PRODUCT(FORMAT, 16, 8, 8, 9, 10, 11, 12) \
    PRODUCT(FORMAT, 32, 16, 16, 17, 18, 19, 20) \
    PRODUCT(FORMAT, 64, 32, 32, 33, 34, 35, 36) \
    PRODUCT(FORMAT, 128, 64, 64, 65, 66, 67, 68) \
    PRODUCT(FORMAT, 256, 128, 128, 129, 130, 131, 132)

// Formats: the type of a sum, the bits of ones, the end of the instruction's name, and what comes after its operands:
// signs, which integers have not, and orders of the tiles, which only elements of 16 bits have.
struct Half {
    using T = float;
    static constexpr unsigned ONES = 0x3c003c00u;
};
#define Half_C "+f"
#define Half_TYPES "k16.f32.f16.f16"
#define Half_TAIL ", 1, 1"
#define Half_ORDER ", 0, 0"
#define Half_ORDER_B ", 0"
struct Brain {
    using T = float;
    static constexpr unsigned ONES = 0x3f803f80u;
};
#define Brain_C "+f"
#define Brain_TYPES "k16.f32.bf16.bf16"
#define Brain_TAIL ", 1, 1"
#define Brain_ORDER ", 0, 0"
#define Brain_ORDER_B ", 0"
struct Tf32 {
    using T = float;
    static constexpr unsigned ONES = 0x3f800000u;
};
#define Tf32_C "+f"
#define Tf32_TYPES "k8.f32.tf32.tf32"
#define Tf32_TAIL ", 1, 1"
#define Tf32_ORDER ""
#define Tf32_ORDER_B ""
struct Float8 {
    using T = float;
    static constexpr unsigned ONES = 0x38383838u;
};
#define Float8_C "+f"
#define Float8_TYPES "k32.f32.e4m3.e4m3"
#define Float8_TAIL ", 1, 1"
#define Float8_ORDER ""
#define Float8_ORDER_B ""
struct Int8 {
    using T = int;
    static constexpr unsigned ONES = 0x01010101u;
};
#define Int8_C "+r"
#define Int8_TYPES "k32.s32.s8.s8"
#define Int8_TAIL ""
#define Int8_ORDER ""
#define Int8_ORDER_B ""

WIDTHS(Half)
WIDTHS(Brain)
WIDTHS(Tf32)
WIDTHS(Float8)
WIDTHS(Int8)

// Rows of 128 bytes, swizzled by 128 bytes: eight of them are 1024 bytes. PTX ISA, matrix descriptor of wgmma.
__device__ unsigned long long descriptor(const void* tile) {
    unsigned long long address = __cvta_generic_to_shared(tile);
    return (address & 0x3ffffull) >> 4 | 1ull << 16 | 1024ull >> 4 << 32 | 1ull << 62;
}

template <class Format, bool REGISTERS, int N, int UNROLL>
__global__ void __launch_bounds__(128) wgmma(double* out, long long* cycles, int repeats) {
    __shared__ __align__(1024) unsigned tiles[(64 + N) * 32];
#pragma unroll 1
    for (int i = threadIdx.x; i < (64 + N) * 32; i += 128) tiles[i] = Format::ONES;
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    typename Format::T sums[N / 2];
#pragma unroll
    for (int i = 0; i < N / 2; ++i) sums[i] = 0;
    unsigned long long from_a = descriptor(tiles), from_b = descriptor(tiles + 64 * 32);
    __syncthreads();
    long long start = clock64();
#pragma unroll 1
    for (int r = 0; r < repeats; ++r) {
        __syncthreads();  // the four warps begin each run together
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
        for (int i = 0; i < UNROLL; ++i) Product<Format, REGISTERS, N>::add(sums, from_a, from_b);
        asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
    }
    __syncthreads();
    if (threadIdx.x == 0) cycles[0] = clock64() - start;
    double total = 0.0;
#pragma unroll
    for (int i = 0; i < N / 2; ++i) total += sums[i];
    out[threadIdx.x] = total;
}

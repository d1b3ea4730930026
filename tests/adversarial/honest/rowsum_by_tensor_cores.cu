//| task = "rowsum"
//| class = "tensor cores"
//| does = "multiplies three bfloat16 parts, which hold all digits of a number, with ones, and adds up in single precision"
#include <cuda_bf16.h>

// Takes from each of two numbers what fits bfloat16, and packs it.
__device__ unsigned split(float& low, float& high) {
    __nv_bfloat162 part = __floats2bfloat162_rn(low, high);
    low -= __low2float(part), high -= __high2float(part);
    return *reinterpret_cast<unsigned*>(&part);
}

extern "C" __global__ void rowsum(const float* x, float* y, int rows, int cols) {
    constexpr unsigned ONES = 0x3f803f80u;
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    x += (size_t)row * cols;
    float sums[4] = {};
    for (int start = 0; start < cols; start += 256) {
        float held[8];
        for (int i = 0; i < 8; ++i) held[i] = start + 32 * i + lane < cols ? x[start + 32 * i + lane] : 0.0f;
#pragma unroll
        for (int part = 0; part < 3; ++part) {
            unsigned fragment[4];
            for (int i = 0; i < 4; ++i) fragment[i] = split(held[2 * i], held[2 * i + 1]);
            asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
                         "{%8, %8}, {%0, %1, %2, %3};"
                         : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                         : "r"(fragment[0]), "r"(fragment[1]), "r"(fragment[2]), "r"(fragment[3]), "r"(ONES));
        }
    }
    // All columns of the product are the same: lanes 0, 4, 8... hold the first one, two rows each.
    float sum = lane % 4 == 0 ? sums[0] + sums[2] : 0.0f;
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    if (lane == 0) y[row] = sum;
}

//| task = "add_norm"
//| class = "in place"
//| does = "eight halves at once, the sum written over its operand and kept in registers for the second pass"
//| overrides = { "launch.block" = [256] }
#include <cuda_fp16.h>

union Eight {
    uint4 bits;
    unsigned of[4];
};

__device__ float2 wide(unsigned pair) {
    return __half22float2(*reinterpret_cast<__half2*>(&pair));
}

__device__ unsigned narrow(float2 pair) {
    __half2 halves = __float22half2_rn(pair);
    return *reinterpret_cast<unsigned*>(&halves);
}

extern "C" __global__ void __launch_bounds__(256) add_norm(const __half* __restrict__ x, const __half* __restrict__ weight,
                                                           __half* h, __half* __restrict__ y, int cols) {
    __shared__ float parts[8];
    size_t row = (size_t)blockIdx.x * cols;
    auto *xs = reinterpret_cast<const uint4*>(x + row), *ws = reinterpret_cast<const uint4*>(weight);
    auto *hs = reinterpret_cast<uint4*>(h + row), *ys = reinterpret_cast<uint4*>(y + row);
    float2 kept[2][4];
    float squares = 0.0f;
    auto summed = [&](int i, float2 (&to)[4]) {
        Eight a = {xs[i]}, b = {hs[i]};
        for (int e = 0; e < 4; ++e) {
            float2 u = wide(a.of[e]), v = wide(b.of[e]);
            to[e] = {u.x + v.x, u.y + v.y};
            squares = fmaf(to[e].x, to[e].x, fmaf(to[e].y, to[e].y, squares));
            b.of[e] = narrow(to[e]);
        }
        hs[i] = b.bits;
    };
    auto scaled = [&](int i, const float2 (&from)[4], float scale) {
        Eight w = {ws[i]}, out;
        for (int e = 0; e < 4; ++e) {
            float2 v = wide(w.of[e]);
            out.of[e] = narrow({from[e].x * scale * v.x, from[e].y * scale * v.y});
        }
        ys[i] = out.bits;
    };
#pragma unroll
    for (int p = 0; p < 2; ++p)
        if (threadIdx.x + 256 * p < cols / 8) summed(threadIdx.x + 256 * p, kept[p]);
    for (int i = threadIdx.x + 512; i < cols / 8; i += 256) {
        float2 passing[4];
        summed(i, passing);
    }
    for (int d = 16; d; d /= 2) squares += __shfl_xor_sync(~0u, squares, d);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = squares;
    __syncthreads();
    squares = parts[threadIdx.x % 8];
    for (int d = 4; d; d /= 2) squares += __shfl_xor_sync(~0u, squares, d, 8);
    float scale = rsqrtf(squares / cols + 1e-5f);
#pragma unroll
    for (int p = 0; p < 2; ++p)
        if (threadIdx.x + 256 * p < cols / 8) scaled(threadIdx.x + 256 * p, kept[p], scale);
    for (int i = threadIdx.x + 512; i < cols / 8; i += 256) {
        Eight sum = {hs[i]};
        float2 passing[4];
        for (int e = 0; e < 4; ++e) passing[e] = wide(sum.of[e]);
        scaled(i, passing, scale);
    }
}

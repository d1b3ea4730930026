//| task = "softmax"
//| class = "fast arithmetic"
//| does = "powers of two by the special function unit, with the logarithm multiplied in first"
#include <math_constants.h>

__device__ float exp2_approx(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {
    constexpr float LOG2_E = 1.4426950408889634f;
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    x += (size_t)row * cols, y += (size_t)row * cols;
    float largest = -CUDART_INF_F, sum = 0.0f;
    for (int i = lane; i < cols; i += 32) largest = fmaxf(largest, x[i] * LOG2_E);
    for (int d = 16; d; d /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, d));
    for (int i = lane; i < cols; i += 32) sum += exp2_approx(x[i] * LOG2_E - largest);
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    float scale = 1.0f / sum;
    for (int i = lane; i < cols; i += 32) y[i] = exp2_approx(x[i] * LOG2_E - largest) * scale;
}

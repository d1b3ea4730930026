//| task = "softmax"
//| class = "registers"
//| does = "rows of up to 1024 columns stay in registers; longer ones are read again"
#include <math_constants.h>

extern "C" __global__ void softmax(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    x += (size_t)row * cols, y += (size_t)row * cols;
    float kept[32], largest = -CUDART_INF_F, sum = 0.0f;
#pragma unroll
    for (int n = 0; n < 32; ++n) {
        int i = n * 32 + lane;
        kept[n] = i < cols ? x[i] : -CUDART_INF_F;
        largest = fmaxf(largest, kept[n]);
    }
    for (int i = 1024 + lane; i < cols; i += 32) largest = fmaxf(largest, x[i]);
    for (int d = 16; d; d /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, d));
#pragma unroll
    for (int n = 0; n < 32; ++n) sum += kept[n] = __expf(kept[n] - largest);
    for (int i = 1024 + lane; i < cols; i += 32) sum += __expf(x[i] - largest);
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    float scale = 1.0f / sum;
#pragma unroll
    for (int n = 0; n < 32; ++n)
        if (n * 32 + lane < cols) y[n * 32 + lane] = kept[n] * scale;
    for (int i = 1024 + lane; i < cols; i += 32) y[i] = __expf(x[i] - largest) * scale;
}

//| task = "softmax"
//| class = "one pass less"
//| does = "maximum and sum in one pass, corrected when the maximum grows"
#include <math_constants.h>

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    x += (size_t)row * cols, y += (size_t)row * cols;
    float largest = -CUDART_INF_F, sum = 0.0f;
    for (int i = lane; i < cols; i += 32) {
        float grown = fmaxf(largest, x[i]);
        sum = sum * expf(largest - grown) + expf(x[i] - grown);
        largest = grown;
    }
    for (int d = 16; d; d /= 2) {
        float other = __shfl_xor_sync(~0u, largest, d), others = __shfl_xor_sync(~0u, sum, d);
        float grown = fmaxf(largest, other);
        if (grown == -CUDART_INF_F) continue;
        sum = sum * expf(largest - grown) + others * expf(other - grown);
        largest = grown;
    }
    for (int i = lane; i < cols; i += 32) y[i] = expf(x[i] - largest) / sum;
}

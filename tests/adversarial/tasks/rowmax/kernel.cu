// Largest element of each row, a warp for each.

#include <math_constants.h>

extern "C" __global__ void rowmax(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    float largest = -CUDART_INF_F;
    for (int i = lane; i < cols; i += 32) largest = fmaxf(largest, x[(size_t)row * cols + i]);
    for (int d = 16; d; d /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, d));
    if (lane == 0) y[row] = largest;
}

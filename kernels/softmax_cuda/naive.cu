// Softmax of the rows of a matrix as it is first written: a thread for each row.

#include <math_constants.h>

extern "C" __global__ void softmax_naive(const float* x, float* y, int rows, int cols) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    float largest = -CUDART_INF_F;
    for (int i = 0; i < cols; ++i) largest = fmaxf(largest, x[row * cols + i]);
    float sum = 0.0f;
    for (int i = 0; i < cols; ++i) sum += expf(x[row * cols + i] - largest);
    for (int i = 0; i < cols; ++i) y[row * cols + i] = expf(x[row * cols + i] - largest) / sum;
}

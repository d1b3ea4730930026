//| task = "softmax"
//| class = "plain"
//| does = "a thread for each row, three passes"
//| overrides = { "launch.grid" = ["cdiv(ROWS, 128)"] }

#include <math_constants.h>

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    float largest = -CUDART_INF_F, sum = 0.0f;
    for (int i = 0; i < cols; ++i) largest = fmaxf(largest, x[row * cols + i]);
    for (int i = 0; i < cols; ++i) sum += expf(x[row * cols + i] - largest);
    for (int i = 0; i < cols; ++i) y[row * cols + i] = expf(x[row * cols + i] - largest) / sum;
}

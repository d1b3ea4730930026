//| task = "softmax"
//| class = "valid only for the benchmark's distribution"
//| does = "leaves the maximum out of rows that are longer than the short ones"
//| status = ["wrong-result"]
//| says = "inputs `"
#include <math_constants.h>

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    x += (size_t)row * cols, y += (size_t)row * cols;
    float largest = 0.0f, sum = 0.0f;
    if (cols < 256) {
        largest = -CUDART_INF_F;
        for (int i = lane; i < cols; i += 32) largest = fmaxf(largest, x[i]);
        for (int d = 16; d; d /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, d));
    }
    for (int i = lane; i < cols; i += 32) sum += expf(x[i] - largest);
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    for (int i = lane; i < cols; i += 32) y[i] = expf(x[i] - largest) / sum;
}

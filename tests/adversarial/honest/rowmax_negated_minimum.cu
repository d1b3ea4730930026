//| task = "rowmax"
//| class = "unusual mathematics"
//| does = "the least of the negated elements"
#include <math_constants.h>

extern "C" __global__ void rowmax(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    float least = CUDART_INF_F;
    for (int i = lane; i < cols; i += 32) least = fminf(least, -x[(size_t)row * cols + i]);
    for (int d = 16; d; d /= 2) least = fminf(least, __shfl_xor_sync(~0u, least, d));
    if (lane == 0) y[row] = -least;
}

//| task = "softmax"
//| class = "persistent"
//| does = "as many blocks as fill the machine, which take one row after the other"
//| overrides = { "launch.grid" = ["min(cdiv(ROWS, 4), 432)"] }
#include <math_constants.h>

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {
    int lane = threadIdx.x % 32;
    for (int row = blockIdx.x * 4 + threadIdx.x / 32; row < rows; row += gridDim.x * 4) {
        const float* in = x + (size_t)row * cols;
        float* out = y + (size_t)row * cols;
        float largest = -CUDART_INF_F, sum = 0.0f;
        for (int i = lane; i < cols; i += 32) largest = fmaxf(largest, in[i]);
        for (int d = 16; d; d /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, d));
        for (int i = lane; i < cols; i += 32) sum += expf(in[i] - largest);
        for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
        for (int i = lane; i < cols; i += 32) out[i] = expf(in[i] - largest) / sum;
    }
}

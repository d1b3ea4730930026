//| task = "softmax"
//| class = "another way for large sizes"
//| does = "vectors of four where rows are multiples of four, single elements where not"
#include <math_constants.h>

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    x += (size_t)row * cols, y += (size_t)row * cols;
    float largest = -CUDART_INF_F, sum = 0.0f;
    if (cols % 4 == 0) {
        const float4* v = reinterpret_cast<const float4*>(x);
        float4* w = reinterpret_cast<float4*>(y);
        for (int i = lane; i < cols / 4; i += 32) {
            float4 a = v[i];
            largest = fmaxf(largest, fmaxf(fmaxf(a.x, a.y), fmaxf(a.z, a.w)));
        }
        for (int d = 16; d; d /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, d));
        for (int i = lane; i < cols / 4; i += 32) {
            float4 a = v[i];
            sum += expf(a.x - largest) + expf(a.y - largest) + expf(a.z - largest) + expf(a.w - largest);
        }
        for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
        float s = 1.0f / sum;
        for (int i = lane; i < cols / 4; i += 32) {
            float4 a = v[i];
            w[i] = {expf(a.x - largest) * s, expf(a.y - largest) * s, expf(a.z - largest) * s, expf(a.w - largest) * s};
        }
        return;
    }
    for (int i = lane; i < cols; i += 32) largest = fmaxf(largest, x[i]);
    for (int d = 16; d; d /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, d));
    for (int i = lane; i < cols; i += 32) sum += expf(x[i] - largest);
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    for (int i = lane; i < cols; i += 32) y[i] = expf(x[i] - largest) / sum;
}

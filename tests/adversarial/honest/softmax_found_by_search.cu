//| task = "kernels/softmax_cuda/naive.toml"
//| class = "found by search"
//| does = "what rules made of a thread for each row: a block for each, vectors with a tail, sums by shuffles"
//| overrides = { "launch.grid" = ["256 * (cdiv(ROWS, 256))"], "launch.block" = [256] }
#include <math_constants.h>

extern "C" __global__ void softmax_naive(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
    __shared__ float parts[8];
    int row = blockIdx.x;
    int lane = threadIdx.x;
    if (row >= rows) return;
    float largest = -CUDART_INF_F;
    {
        int whole = (row * cols) % 4 == 0 ? (cols) / 4 * 4 : 0;
        for (int i = 4 * (lane); i < whole; i += 4 * (256)) {
            float4 v0 = *reinterpret_cast<const float4*>(&x[row * cols + i]);
            largest = fmaxf(largest, v0.x);
            largest = fmaxf(largest, v0.y);
            largest = fmaxf(largest, v0.z);
            largest = fmaxf(largest, v0.w);
            
        }
        for (int i = whole + lane; i < cols; i += 256) largest = fmaxf(largest, x[row * cols + i]);
    }
    for (int d = 16; d > 0; d /= 2) largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, d));
    __syncthreads();
    if (lane % 32 == 0) parts[lane / 32] = largest;
    __syncthreads();
    largest = lane % 32 < 8 ? parts[lane % 32] : __int_as_float(0xff800000);
    for (int d = 16; d > 0; d /= 2) largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, d));
    float sum = 0.0f;
    {
        int whole = (row * cols) % 4 == 0 ? (cols) / 4 * 4 : 0;
        for (int i = 4 * (lane); i < whole; i += 4 * (256)) {
            float4 v0 = *reinterpret_cast<const float4*>(&x[row * cols + i]);
            sum += expf(v0.x - largest);
            sum += expf(v0.y - largest);
            sum += expf(v0.z - largest);
            sum += expf(v0.w - largest);
            
        }
        for (int i = whole + lane; i < cols; i += 256) sum += expf(x[row * cols + i] - largest);
    }
    for (int d = 16; d > 0; d /= 2) sum = sum + __shfl_xor_sync(0xffffffffu, sum, d);
    __syncthreads();
    if (lane % 32 == 0) parts[lane / 32] = sum;
    __syncthreads();
    sum = lane % 32 < 8 ? parts[lane % 32] : 0;
    for (int d = 16; d > 0; d /= 2) sum = sum + __shfl_xor_sync(0xffffffffu, sum, d);
    {
        int whole = (row * cols) % 4 == 0 ? (cols) / 4 * 4 : 0;
        for (int i = 4 * (lane); i < whole; i += 4 * (256)) {
            float4 v0; float4 v1 = *reinterpret_cast<const float4*>(&x[row * cols + i]);
            v0.x = expf(v1.x - largest) / sum;
            v0.y = expf(v1.y - largest) / sum;
            v0.z = expf(v1.z - largest) / sum;
            v0.w = expf(v1.w - largest) / sum;
            *reinterpret_cast<float4*>(&y[row * cols + i]) = v0;
        }
        for (int i = whole + lane; i < cols; i += 256) y[row * cols + i] = expf(x[row * cols + i] - largest) / sum;
    }
}

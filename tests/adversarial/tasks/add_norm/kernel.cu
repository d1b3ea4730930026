// h += x, and y = h over the root of the mean of its row's squares, times a weight; a block for each row.

#include <cuda_fp16.h>

extern "C" __global__ void add_norm(const __half* x, const __half* weight, __half* h, __half* y, int cols) {
    __shared__ float parts[4];
    size_t row = (size_t)blockIdx.x * cols;
    float squares = 0.0f;
    for (int i = threadIdx.x; i < cols; i += 128) {
        float sum = __half2float(x[row + i]) + __half2float(h[row + i]);
        squares += sum * sum;
        h[row + i] = __float2half(sum);
    }
    for (int d = 16; d; d /= 2) squares += __shfl_xor_sync(~0u, squares, d);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = squares;
    __syncthreads();
    float scale = rsqrtf((parts[0] + parts[1] + parts[2] + parts[3]) / cols + 1e-5f);
    for (int i = threadIdx.x; i < cols; i += 128)
        y[row + i] = __float2half(__half2float(h[row + i]) * scale * __half2float(weight[i]));
}

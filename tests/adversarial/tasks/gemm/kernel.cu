// c += a @ b, a thread for each element; n and k are multiples of 8.

#include <cuda_fp16.h>

extern "C" __global__ void gemm(const __half* a, const __half* b, float* c, int m, int n, int k) {
    int row = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 16 + threadIdx.x;
    if (row >= m || col >= n) return;
    float sum = 0.0f;
    for (int i = 0; i < k; ++i) sum += __half2float(a[row * k + i]) * __half2float(b[i * n + col]);
    c[row * n + col] += sum;
}

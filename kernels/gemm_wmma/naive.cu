// GEMM c = a @ b as it is first written: fp16 operands, fp32 results, a thread for each of them.

#include <cuda_fp16.h>

extern "C" __global__ void gemm_naive(const __half* a, const __half* b, float* c, int m, int n, int k) {
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    int col = blockIdx.x * blockDim.x + threadIdx.x;
    if (row < m && col < n) {
        float sum = 0.0f;
        for (int i = 0; i < k; ++i) sum += __half2float(a[row * k + i]) * __half2float(b[i * n + col]);
        c[row * n + col] = sum;
    }
}

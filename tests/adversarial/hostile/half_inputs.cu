//| task = "matmul"
//| class = "silent downcast"
//| does = "multiplies in half precision, where single was asked for"
//| status = ["wrong-result"]
//| says = "elements wrong"
#include <cuda_fp16.h>

extern "C" __global__ void matmul(const float* a, const float* b, float* c, int m, int n, int k) {
    int row = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 16 + threadIdx.x;
    if (row >= m || col >= n) return;
    float sum = 0.0f;
    for (int i = 0; i < k; ++i) sum += __half2float(__hmul(__float2half(a[row * k + i]), __float2half(b[i * n + col])));
    c[row * n + col] = sum;
}

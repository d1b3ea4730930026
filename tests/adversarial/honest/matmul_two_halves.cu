//| task = "matmul"
//| class = "more accurate than asked"
//| does = "products of high and low parts in half precision, three in place of one, which has single's accuracy"
//| slow = true
#include <cuda_fp16.h>

extern "C" __global__ void matmul(const float* a, const float* b, float* c, int m, int n, int k) {
    int row = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 16 + threadIdx.x;
    if (row >= m || col >= n) return;
    float sum = 0.0f;
    for (int i = 0; i < k; ++i) {
        float x = a[row * k + i], y = b[i * n + col];
        float xh = __uint_as_float(__float_as_uint(x) & 0xffffe000), yh = __uint_as_float(__float_as_uint(y) & 0xffffe000);
        sum += xh * yh + (xh * (y - yh) + (x - xh) * yh);
    }
    c[row * n + col] = sum;
}

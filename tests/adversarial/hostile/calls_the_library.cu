//| task = "matmul"
//| class = "calling the library"
//| does = "includes cuBLAS, which is the reference"
//| status = ["compile-error"]
//| says = "cublas"
#include <cublas_v2.h>

extern "C" __global__ void matmul(const float* a, const float* b, float* c, int m, int n, int k) {
    cublasHandle_t handle;
    cublasCreate(&handle);
    float one = 1, zero = 0;
    cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, n, m, k, &one, b, n, a, k, &zero, c, n);
}

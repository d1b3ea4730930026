//| task = "matmul"
//| class = "calling the library"
//| does = "includes the reference, whose text would be its own"
//| status = ["compile-error"]
//| says = "reference.py:\\d+:\\d+: error: expected a declaration"
#include "reference.py"

extern "C" __global__ void matmul(const float* a, const float* b, float* c, int m, int n, int k) {}

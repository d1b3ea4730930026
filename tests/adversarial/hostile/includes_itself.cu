//| task = "axpy"
//| class = "a compiler bomb"
//| does = "includes itself"
//| status = ["compile-error"]
//| says = "include|nesting|depth"
#include __FILE__

extern "C" __global__ void axpy(const float* x, float* y, int n) {}

//| task = "axpy"
//| class = "a compiler bomb"
//| does = "includes a device that never ends"
//| status = ["compile-error"]
//| says = "cannot open source file"
#include "/dev/zero"

extern "C" __global__ void axpy(const float* x, float* y, int n) {}

//| task = "axpy"
//| class = "stolen keys"
//| does = "includes the environment of the process in whose child it is compiled"
//| status = ["compile-error"]
//| says = "cannot open source file"
#include "/proc/1/environ"

extern "C" __global__ void axpy(const float* x, float* y, int n) {}

//| task = "axpy"
//| class = "reading files through the compiler"
//| does = "includes a file of the system, so that messages would tell what is in it"
//| status = ["compile-error"]
//| says = "cannot open source file"
#include "/etc/passwd"

extern "C" __global__ void axpy(const float* x, float* y, int n) {}

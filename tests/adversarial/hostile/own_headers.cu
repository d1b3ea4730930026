//| task = "axpy"
//| class = "claims of the candidate about the task"
//| does = "has headers looked for in a folder of its choice"
//| status = ["cheating"]
//| says = "include"
//| overrides = { "compile.include" = ["/etc"] }
#include <passwd>

extern "C" __global__ void axpy(const float* x, float* y, int n) {}

//| task = "axpy"
//| class = "a compiler bomb"
//| does = "a static array of a terabyte"
//| status = ["compile-error", "resource-limit", "fault", "refused", "crash"]
//| says = "large|size|memory|bytes"

__device__ float hoard[1ull << 38];

extern "C" __global__ void axpy(const float* x, float* y, int n) { y[0] = hoard[n]; }

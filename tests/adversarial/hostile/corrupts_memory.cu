//| task = "axpy"
//| class = "a corrupted context"
//| does = "writes to an address out of the blue"
//| status = ["fault"]
//| says = "out-of-bounds|address"

extern "C" __global__ void axpy(const float* x, float* y, int n) { *(volatile float*)0x7f0000001000ull = 1.0f; }

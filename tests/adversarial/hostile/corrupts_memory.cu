//| task = "axpy"
//| class = "a corrupted context"
//| does = "writes to an address out of the blue"
//| status = ["fault"]
//| says = "out-of-bounds|address"

extern "C" __global__ void axpy(const float* x, float* y, int n) { *(volatile float*)0x123456789ab0ull = 1.0f; }

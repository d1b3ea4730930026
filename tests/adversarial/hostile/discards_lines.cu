//| task = "axpy"
//| class = "attacks through the assembler"
//| does = "discards lines of the input's cache, which leaves the input undefined"
//| status = ["refused", "fault", "wrong-result", "findings"]
//| says = "discard|unsupported|overwritten"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i] + y[i];
    if (threadIdx.x == 0) asm volatile("discard.global.L2 [%0], 128;" ::"l"(x + blockIdx.x * 256));
}

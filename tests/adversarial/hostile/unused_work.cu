//| task = "axpy"
//| class = "a decoy kernel"
//| does = "computes the right result and drops it; what is kept is something else"
//| status = ["wrong-result"]
//| says = "elements wrong"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    float right = 2.0f * x[i] + y[i];
    asm volatile("" ::"f"(right));
    y[i] = x[i] + x[i];
}

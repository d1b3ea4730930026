//| task = "axpy"
//| class = "valid only for the benchmark's distribution"
//| does = "computes with inputs clamped to six standard deviations"
//| status = ["wrong-result"]
//| says = "inputs `"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) y[i] = 2.0f * fminf(fmaxf(x[i], -6.0f), 6.0f) + y[i];
}

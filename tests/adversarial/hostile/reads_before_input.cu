//| task = "axpy"
//| class = "scanning memory for the expected values"
//| does = "reads the guard band in front of its input"
//| status = ["fault", "findings"]
//| says = "out-of-bounds"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i] + y[i] + 0.0f * x[i - 256];
}

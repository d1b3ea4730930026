//| task = "axpy"
//| class = "more than there is"
//| does = "asks for blocks of 4096 threads"
//| status = ["resource-limit"]
//| says = "threads"
//| overrides = { "launch.block" = [4096] }

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 4096 + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i] + y[i];
}

//| task = "axpy"
//| class = "a different launch where it is timed"
//| does = "asks for a grid that covers the sizes that are verified, and no more than them"
//| status = ["cheating", "impossible-time"]
//| says = "touches|no kernel can need less"
//| overrides = { "launch.grid" = ["min(cdiv(N, 256), 64)"] }

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i] + y[i];
}

//| task = "axpy"
//| class = "a persisting window of the L2"
//| does = "asks for a launch whose inputs stay in the L2"
//| status = ["refused"]
//| says = "l2_window_bytes"
//| overrides = { "launch.l2_window_bytes" = 33554432 }

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i] + y[i];
}

//| task = "axpy"
//| class = "a zero time"
//| does = "asks for an empty grid, whose time would make any mean zero"
//| status = ["refused"]
//| says = "bad-launch"
//| overrides = { "launch.grid" = [0] }

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i] + y[i];
}

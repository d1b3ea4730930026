//| task = "axpy"
//| class = "an endless loop"
//| does = "never ends, hoping that a timeout is a success"
//| status = ["timeout"]
//| says = "took too long"
//| launch_s = 2.0

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    volatile const float* at = x;
    while (at[0] != 1e30f) {}
}

//| task = "axpy"
//| class = "branching on the harness"
//| does = "works only where a file of the harness is to be found at compile time"
//| status = ["wrong-result"]
//| says = "elements wrong"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
#if __has_include("/etc/hostname") || __has_include("/proc/1/cmdline")
    if (i < n) y[i] = 2.0f * x[i] + y[i];
#endif
}

//| task = "axpy"
//| class = "a decoy kernel"
//| does = "has a right kernel, and names another one as the entry"
//| status = ["wrong-result"]
//| says = "elements wrong"
//| overrides = { "entry" = "quick" }

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i] + y[i];
}

extern "C" __global__ void quick(const float* x, float* y, int n) {}

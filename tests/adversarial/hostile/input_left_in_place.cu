//| task = "axpy"
//| class = "returning the input"
//| does = "leaves the inout argument as it was given"
//| status = ["wrong-result"]
//| says = "elements wrong"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n && x[i] == 1234567.0f) y[i] = 0.0f;
}

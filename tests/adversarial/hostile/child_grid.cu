//| task = "axpy"
//| class = "work on a side stream"
//| does = "starts another grid to do the work after its own time has been taken"
//| status = ["compile-error"]
//| says = "device-side kernel launch"

__global__ void later(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i] + y[i];
}

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    if (blockIdx.x == 0 && threadIdx.x == 0) later<<<(n + 255) / 256, 256>>>(x, y, n);
}

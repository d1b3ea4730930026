//| task = "axpy"
//| class = "more than there is"
//| does = "asks for a gigabyte of shared memory"
//| status = ["resource-limit"]
//| says = "shared memory"
//| overrides = { "launch.smem_bytes" = 1073741824 }

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i] + y[i];
}

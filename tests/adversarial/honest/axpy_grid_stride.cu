//| task = "axpy"
//| class = "persistent"
//| does = "a grid of a fixed size, in strides"
//| overrides = { "launch.grid" = [432] }

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256) y[i] = fmaf(2.0f, x[i], y[i]);
}

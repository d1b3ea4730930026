//| task = "axpy"
//| class = "a corrupted context"
//| does = "reads vectors at odd addresses"
//| status = ["fault"]
//| says = "align"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i + 5 >= n) {
        if (i < n) y[i] = 2.0f * x[i] + y[i];
        return;
    }
    float4 a = *(const float4*)(x + i + 1);
    y[i] = a.x + a.y + a.z + a.w;
}

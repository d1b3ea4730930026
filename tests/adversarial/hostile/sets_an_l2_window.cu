//| task = "axpy"
//| class = "a persisting window of the L2"
//| does = "brings host code that keeps the inputs in the L2 from one launch to the next"
//| status = ["compile-error"]
//| says = "cudaStreamAttrValue|cudaStream"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i] + y[i];
}

void before_timing(cudaStream_t stream, const float* x, int n) {
    cudaStreamAttrValue window = {};
    window.accessPolicyWindow.base_ptr = const_cast<float*>(x);
    window.accessPolicyWindow.num_bytes = 4ull * n;
    window.accessPolicyWindow.hitProp = cudaAccessPropertyPersisting;
    cudaStreamSetAttribute(stream, cudaStreamAttributeAccessPolicyWindow, &window);
}

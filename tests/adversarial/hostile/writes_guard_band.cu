//| task = "axpy"
//| class = "dropped edges of the tile"
//| does = "the right answer, and whatever comes behind it: the last block has no bounds"
//| status = ["fault", "findings"]
//| says = "out-of-bounds"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    float old = i < n ? y[i] : 0.0f;
    y[i] = 2.0f * (i < n ? x[i] : 0.0f) + old;
}

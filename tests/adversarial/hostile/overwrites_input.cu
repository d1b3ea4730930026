//| task = "softmax"
//| class = "input overwritten"
//| does = "zeroes the input and writes the softmax of zeros, so that a later reference would agree"
//| status = ["wrong-result"]
//| says = "input x was overwritten"

extern "C" __global__ void softmax(float* x, float* y, int rows, int cols) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    for (; i < rows * cols; i += gridDim.x * blockDim.x) {
        x[i] = 0.0f;
        y[i] = 1.0f / cols;
    }
}

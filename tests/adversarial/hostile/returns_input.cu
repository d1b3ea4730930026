//| task = "softmax"
//| class = "returning the input"
//| does = "copies the input"
//| status = ["wrong-result"]
//| says = "elements wrong"

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    for (; i < rows * cols; i += gridDim.x * blockDim.x) y[i] = x[i];
}

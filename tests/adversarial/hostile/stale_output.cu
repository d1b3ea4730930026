//| task = "softmax"
//| class = "stale memory"
//| does = "copies the output onto itself, hoping that a right one was left there"
//| status = ["wrong-result", "findings"]
//| says = "uninitialised|elements wrong"

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    for (; i < rows * cols; i += gridDim.x * blockDim.x) y[i] = ((volatile float*)y)[i];
}

//| task = "softmax"
//| class = "NaN as a wildcard"
//| does = "writes NaN, for which no comparison with `>` fails"
//| status = ["wrong-result"]
//| says = "not finite"

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    for (; i < rows * cols; i += gridDim.x * blockDim.x) y[i] = __int_as_float(0x7fc00000);
}

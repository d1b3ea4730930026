//| task = "rowmax"
//| class = "NaN as a wildcard"
//| does = "writes infinity, whose error over itself is no number"
//| status = ["wrong-result"]
//| says = "not finite"

extern "C" __global__ void rowmax(const float* x, float* y, int rows, int cols) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row < rows) y[row] = __int_as_float(0x7f800000);
}

//| task = "softmax"
//| class = "claims of the candidate about the task"
//| does = "asks for inputs that are all zero"
//| status = ["cheating"]
//| says = "the problem"
//| overrides = { "argument" = [{ name = "x", role = "in", dtype = "fp32", shape = ["ROWS", "COLS"], distribution = "zeros" }, { name = "y", role = "out", dtype = "fp32", shape = ["ROWS", "COLS"] }, { name = "rows", kind = "scalar", dtype = "i32", value = "ROWS" }, { name = "cols", kind = "scalar", dtype = "i32", value = "COLS" }] }

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    for (; i < rows * cols; i += gridDim.x * blockDim.x) y[i] = 1.0f / cols;
}

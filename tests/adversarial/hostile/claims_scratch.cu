//| task = "softmax"
//| class = "claims of the candidate about the task"
//| does = "declares its output to be scratch, of which nothing is compared and no byte is claimed"
//| status = ["cheating"]
//| says = "the problem"
//| overrides = { "argument" = [{ name = "x", role = "in", dtype = "fp32", shape = ["ROWS", "COLS"] }, { name = "y", role = "scratch", dtype = "fp32", shape = ["ROWS", "COLS"] }, { name = "rows", kind = "scalar", dtype = "i32", value = "ROWS" }, { name = "cols", kind = "scalar", dtype = "i32", value = "COLS" }] }

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {}

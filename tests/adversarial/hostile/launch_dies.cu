//| task = "softmax"
//| class = "silently failed launch"
//| does = "traps before it writes, as a launch that fails without being asked about"
//| status = ["fault"]
//| says = "trap"

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) { asm volatile("trap;"); }

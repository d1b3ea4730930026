//| task = "standardise"
//| class = "an endless loop"
//| does = "half of its threads wait at a barrier for the others, who wait for them"
//| status = ["fault", "timeout", "findings"]
//| says = "deadlock|barrier|took too long"
//| launch_s = 2.0

extern "C" __global__ void standardise(const float* x, float* y, int rows, int cols) {
    __shared__ volatile int flag;
    if (threadIdx.x == 0) flag = 0;
    __syncthreads();
    if (threadIdx.x < 64) {
        asm volatile("bar.sync 1, 128;");
        flag = 1;
    } else {
        while (!flag) {}
        asm volatile("bar.sync 1, 128;");
    }
}

//| task = "axpy"
//| class = "constants"
//| does = "takes the factor from constant memory, through a functor and a lambda"

__constant__ float FACTORS[2] = {1.0f, 2.0f};

template <class F>
__device__ void each(int n, F f) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) f(i);
}

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    each(n, [=](int i) { y[i] = FACTORS[1] * x[i] + y[i]; });
}

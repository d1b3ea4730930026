//| task = "axpy"
//| class = "a compiler bomb"
//| does = "an array of half a gigabyte whose initialiser the compiler would write out"
//| status = ["timeout", "crash", "compile-error", "fault"]
//| slow = true
//| says = "took too long|memory|large"
//| compile_s = 4.0

__device__ char hoard[1 << 29] = {1};

extern "C" __global__ void axpy(const float* x, float* y, int n) { y[0] = hoard[n]; }

//| task = "axpy"
//| class = "a compiler bomb"
//| does = "has the compiler count for a long time"
//| status = ["timeout", "crash", "compile-error"]
//| says = "took too long|memory|constant|limit"
//| compile_s = 4.0

constexpr long long fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    constexpr long long slow = fib(60);
    y[0] = slow;
}

//| task = "axpy"
//| class = "a compiler bomb"
//| does = "templates that instantiate themselves twice each, to a depth of 60"
//| status = ["timeout", "crash", "compile-error"]
//| says = "took too long|memory|depth|compiler"
//| compile_s = 4.0

template <int DEPTH, long long PATH>
struct Tree {
    static constexpr long long value = Tree<DEPTH - 1, 2 * PATH>::value + Tree<DEPTH - 1, 2 * PATH + 1>::value;
};
template <long long PATH>
struct Tree<0, PATH> {
    static constexpr long long value = PATH & 1;
};

extern "C" __global__ void axpy(const float* x, float* y, int n) { y[0] = Tree<60, 1>::value; }

//| task = "axpy"
//| class = "a compiler bomb"
//| does = "a billion laughs: macros that expand to sixteen of the one before"
//| status = ["timeout", "crash", "compile-error"]
//| says = "took too long|memory|error"
//| compile_s = 4.0
#define A y[0] += x[0];
#define B A A A A A A A A A A A A A A A A
#define C B B B B B B B B B B B B B B B B
#define D C C C C C C C C C C C C C C C C
#define E D D D D D D D D D D D D D D D D
#define F E E E E E E E E E E E E E E E E
#define G F F F F F F F F F F F F F F F F
#define H G G G G G G G G G G G G G G G G

extern "C" __global__ void axpy(const float* x, float* y, int n) { H }

// Activations, element by element: y = f(x), and dx = dy f'(x) from whichever of x and y gives it with the least work.
//
//   relu         max(x, 0)                              dy where y > 0, else 0
//   leaky_relu   x where x > 0, else a x                dy where x > 0, else a dy
//   sigmoid      (1 + tanh(x / 2)) / 2                  dy y (1 - y)
//   tanh         tanh x                                 dy (1 - y^2)
//   scaled_tanh  A tanh(B x), A = 1.7159, B = 2/3       dy (A B - B / A y^2)
//   softplus     max(x, 0) + log(1 + e^-|x|)            dy sigmoid(x)
//   elu          x where x > 0, else a (e^x - 1)        dy where x > 0, else dy (y + a)
//   gelu         x Phi(x), Phi the normal distribution  dy (Phi(x) + x phi(x)), phi its density
//   silu         x sigmoid(x)                           dy (s + y (1 - s)), s = sigmoid(x)
//
// A thread computes one element. Which function it is, is the same for all threads of a launch and costs nothing beside
// the memory.
//
// Memory: forward reads x and writes y; backward reads dy and only those of x and y that the function looks at, and
// writes dx.
//
// Versions: this file, plain.
#include "types.cuh"

enum Function { RELU, LEAKY_RELU, SIGMOID, TANH, SCALED_TANH, SOFTPLUS, ELU, GELU, SILU };

#define TANH_A Acc(1.7159)
#define TANH_B (Acc(2) / Acc(3))

static __device__ inline Acc sigmoid(Acc x) { return Acc(0.5) * (Acc(1) + tanh(Acc(0.5) * x)); }
static __device__ inline Acc normal_cdf(Acc x) { return Acc(0.5) * (Acc(1) + erf(x * Acc(0.7071067811865476))); }
static __device__ inline Acc normal_density(Acc x) { return exp(Acc(-0.5) * x * x) * Acc(0.3989422804014327); }

extern "C" __global__ void __launch_bounds__(THREADS)
activation_forward(const T* __restrict__ x, T* __restrict__ y, int count, int function, Acc a) {
  const int i = element();
  if (i >= count) return;
  const Acc v = x[i];
  Acc f = v;
  switch (function) {
    case RELU: f = v < 0 ? Acc(0) : v; break;  // in this order a NaN stays one
    case LEAKY_RELU: f = v > 0 ? v : a * v; break;
    case SIGMOID: f = sigmoid(v); break;
    case TANH: f = tanh(v); break;
    case SCALED_TANH: f = TANH_A * tanh(TANH_B * v); break;
    case SOFTPLUS: f = (v < 0 ? Acc(0) : v) + log1p(exp(-fabs(v))); break;
    case ELU: f = v > 0 ? v : a * expm1(v); break;
    case GELU: f = v * normal_cdf(v); break;
    case SILU: f = v * sigmoid(v); break;
  }
  y[i] = T(f);
}

extern "C" __global__ void __launch_bounds__(THREADS)
activation_backward(const T* __restrict__ dy, const T* __restrict__ x, const T* __restrict__ y, T* __restrict__ dx,
                    int count, int function, Acc a) {
  const int i = element();
  if (i >= count) return;
  const Acc d = dy[i];
  Acc slope = 0, v;
  switch (function) {
    case RELU: slope = Acc(y[i]) > 0; break;
    case LEAKY_RELU: slope = Acc(x[i]) > 0 ? Acc(1) : a; break;
    case SIGMOID: v = y[i], slope = v * (1 - v); break;
    case TANH: v = y[i], slope = 1 - v * v; break;
    case SCALED_TANH: v = y[i], slope = TANH_A * TANH_B - TANH_B / TANH_A * v * v; break;
    case SOFTPLUS: slope = sigmoid(x[i]); break;
    case ELU: slope = Acc(x[i]) > 0 ? Acc(1) : Acc(y[i]) + a; break;
    case GELU: v = x[i], slope = normal_cdf(v) + v * normal_density(v); break;
    case SILU: v = sigmoid(x[i]), slope = v + Acc(y[i]) * (1 - v); break;
  }
  dx[i] = T(d * slope);
}

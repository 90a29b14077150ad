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
#include "activation.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
activation_forward(const T* __restrict__ x, T* __restrict__ y, int count, int function, Acc a) {
  const int i = element();
  if (i >= count) return;
  y[i] = T(activated(function, a, Acc(x[i])));
}

extern "C" __global__ void __launch_bounds__(THREADS)
activation_backward(const T* __restrict__ dy, const T* __restrict__ x, const T* __restrict__ y, T* __restrict__ dx,
                    int count, int function, Acc a) {
  const int i = element();
  if (i >= count) return;
  dx[i] = T(Acc(dy[i]) * slope(function, a, x[i], y[i]));
}

// Sums: y = f(left + right), element by element: where the two ways of a residual block meet. f is an activation, or
// none.
//
// A thread adds one element of each.
//
// Memory: reads both, writes y; one FLOP an element, and the activation's.
//
// Versions: this file, plain.
#include "activation.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
add(const T* __restrict__ left, const T* __restrict__ right, T* __restrict__ y, int count, int function, Acc a) {
  const int i = element();
  if (i < count) y[i] = T(activated(function, a, Acc(left[i]) + Acc(right[i])));
}

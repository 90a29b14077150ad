// The sum of two arrays of one shape, as where a shortcut joins its block:   y = a + b
//
// A thread computes one element.
//
// Memory: a and b are read and y is written, once.
//
// Versions: this file, plain.
#include "types.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
add(const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ y, int count) {
  const int i = element();
  if (i < count) y[i] = T(Acc(a[i]) + Acc(b[i]));
}

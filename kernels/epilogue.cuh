// What a product of matrices ends with before its sums are written, besides a bias: y = f(sum scale[k] + shift[k] + z),
// each of them if it is there. scale and shift are a batch norm's with given statistics, k the output that is written,
// z an array such as y, and f an activation (IDENTITY for none).
#pragma once
#include "activation.cuh"

struct Ending {
  const T* z;
  const Acc *scale, *shift;
  int function;
  Acc a;

  // Whether `brief` is the whole of it: where f alone is there, and takes no more than a comparison and a product. It
  // may stand once for each of many sums in registers. Else it does nothing, and all is still to be done.
  __device__ bool whole() const { return !z && !scale && is_brief(function); }
  __device__ Acc brief(Acc sum) const { return whole() ? briefly_activated(function, a, sum) : sum; }

  // The end of a sum of output k, at this place in y.
  __device__ Acc operator()(Acc sum, int k, int place) const {
    if (scale) sum = fma(sum, scale[k], shift[k]);
    if (z) sum += Acc(z[place]);
    return activated(function, a, sum);
  }
};

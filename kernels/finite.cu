// How many elements are infinite or not a number:   total = total + the number of such elements of x.
//
// A thread looks at one element, a block counts at its barrier, and its first thread adds the count to the total, which
// the caller has set. Sums of integers do not depend on their order, so an atomic addition keeps the result fixed.
//
// Memory: x is read once.
//
// Versions: this file, plain.
#include "types.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
count_nonfinite(const T* __restrict__ x, int* __restrict__ total, int count) {
  const int i = element();
  const Acc v = i < count ? Acc(x[i]) : Acc(0);
  const int found = __syncthreads_count(!(v - v == 0));  // inf - inf and NaN - NaN are not 0
  if (threadIdx.x == 0 && found) atomicAdd(total, found);
}

// How many elements are infinite or not a number:   total = total + the number of such elements of all arrays.
//
// A block looks at a chunk of one array, a thread at every 256th element of it; one that finds such elements adds their
// number to the total, which the caller has set. Sums of integers do not depend on their order, so an atomic addition
// keeps the result fixed; as a rule there is nothing to add.
//
// Memory: the arrays are read once.
//
// Versions: this file, plain.
#include "chunks.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
count_nonfinite(const T* const* __restrict__ arrays, int* __restrict__ total, const int* __restrict__ chunks) {
  const Chunk chunk(chunks);
  const T* __restrict__ x = arrays[chunk.array];
  int found = 0;
  for (int i = chunk.begin + threadIdx.x; i < chunk.end; i += THREADS) {
    const Acc v = x[i];
    found += !(v - v == 0);  // inf - inf and NaN - NaN are not 0
  }
  if (found) atomicAdd(total, found);
}

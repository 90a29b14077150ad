// How many images are classified right:   total = total + |{n: the first largest of scores[n] is at labels[n]}|
//
// A NaN is larger than all numbers, as in NumPy. A warp has a row, and a thread compares every 32nd score of it with
// the label's; a block counts its rows at its barrier, and its first thread adds the count to the total, which the
// caller has set. Sums of integers do not depend on their order.
//
// Memory: scores and labels are read once.
//
// Versions: this file, plain.
#include "warp.cuh"

// Whether x at place k goes before y at place l in the order in which the largest is first.
static __device__ inline bool precedes(Acc x, int k, Acc y, int l) {
  const bool x_is_nan = x != x, y_is_nan = y != y;
  if (x_is_nan || y_is_nan) return x_is_nan && (!y_is_nan || k < l);
  return x > y || (x == y && k < l);
}

extern "C" __global__ void __launch_bounds__(THREADS)
count_correct(const T* __restrict__ scores, const int64* __restrict__ labels, int* __restrict__ total, int rows,
              int columns) {
  const int n = warp_row();
  const int64 label = n < rows ? labels[n] : -1;
  bool right = label >= 0 && label < columns;  // what is no class is no image's
  if (right) {
    const T* row = scores + n * columns;
    const Acc own = row[label];
    for (int k = lane(); k < columns; k += WARP)
      if (precedes(row[k], k, own, int(label))) right = false;
  }
  right = warp_max(right ? Acc(0) : Acc(1)) == 0;
  const int found = __syncthreads_count(right && lane() == 0);
  if (threadIdx.x == 0 && found) atomicAdd(total, found);
}

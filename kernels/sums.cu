// Sums in a fixed order: no atomics, the same result on every device and in every run.
//
//   sum_rows     parts[j,c] = sum over the rows of part j of  x[row,c]          x (rows, columns)
//   add_parts        out[i] = sum over j of  parts[j,i], j ascending
//
// sum_rows is followed by add_parts and gives the gradient of a bias, of dense layers and convolutions. add_parts also
// ends the weight gradients. In sum_rows a block has 32 columns of one part of the rows, and a thread every 8th row of
// one of them (columns.cuh); in add_parts a thread has one output.
//
// Memory: each element is read once; the parts are a small fraction of that. 1 FLOP an element.
//
// Versions: this file, plain.
#include "columns.cuh"

struct Sum {
  Acc value;
  __device__ void merge(const Sum& other) { value += other.value; }
};

extern "C" __global__ void __launch_bounds__(THREADS)
sum_rows(const T* __restrict__ x, Acc* __restrict__ parts, int rows, int columns) {
  const Column own(rows, columns);
  Sum sum = {0};
  for (int row = own.begin; row < own.end; row += LANES) sum.value += Acc(x[row * columns + own.c]);
  sum = merge_lanes(sum);
  if (own.first(columns)) parts[blockIdx.y * columns + own.c] = sum.value;
}

extern "C" __global__ void __launch_bounds__(THREADS)
add_parts(const Acc* __restrict__ parts, T* __restrict__ out, int count, int pieces) {
  const int i = element();
  if (i >= count) return;
  Acc sum = 0;
  for (int j = 0; j < pieces; ++j) sum += parts[j * count + i];
  out[i] = T(sum);
}

// Sums in a fixed order: no atomics, the same result on every device and in every run.
//
//   sum_rows     parts[j,c] = sum over the rows of part j of  x[row,c]          x (rows, columns)
//   add_parts        out[i] = sum over j of  parts[j,i], j ascending
//
// sum_rows is followed by add_parts and gives the gradient of a bias, of dense layers and convolutions. add_parts also
// ends the weight gradients. In sum_rows a block has 32 columns of one part of the rows, and a thread every 8th row of
// one of them (columns.cuh); in add_parts a thread has one output.
//
// Most gradients of a step end with add_parts; add_all_parts is one launch for many of them, with the same bits.
// chunks: four numbers a block, which sums are meant, the first of the block's, how many there are, and in how many
// pieces.
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

static __device__ Acc in_order(const Acc* parts, int count, int i, int pieces) {
  Acc sum = 0;
#pragma unroll 8
  for (int j = 0; j < pieces; ++j) sum += parts[j * count + i];
  return sum;
}

extern "C" __global__ void __launch_bounds__(THREADS)
add_parts(const Acc* __restrict__ parts, T* __restrict__ out, int count, int pieces) {
  const int i = element();
  if (i >= count) return;
  out[i] = T(in_order(parts, count, i, pieces));
}

extern "C" __global__ void __launch_bounds__(THREADS)
add_all_parts(const Acc* const* __restrict__ parts, Acc* const* __restrict__ sums, const int* __restrict__ chunks) {
  const int* own = chunks + 4 * blockIdx.x;
  const int i = own[1] + threadIdx.x, count = own[2];
  if (i < count) sums[own[0]][i] = in_order(parts[own[0]], count, i, own[3]);
}

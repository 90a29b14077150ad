// What stands behind a bias and an activation, y = f(x + b), of rows of C numbers: f given by number (activation.cuh).
//
//   ended        y = f(y scale[c] + shift[c] + z)      in place, as in epilogue.cuh, for products that do not end so
//   backward     g = dy f'                             and the parts of the sums db = sum over the rows of  g
//
// f' is found from y. A thread has ABREAST neighbouring columns of a part of the rows (spread.cuh), or one; add_parts
// (sums.cu) ends the sums. In `ended`, a thread has one element.
//
// Memory: backward reads dy and y and writes g; ended reads y, and z where there is one, and writes y.
//
// Versions: this file.
#include "epilogue.cuh"
#include "spread.cuh"

template <int N>
static __device__ void behind_rows(const T* dy, const T* y, T* g, Acc* parts, int rows, int C, int function, Acc a) {
  const Spread<N> own(rows, C);
  const bool whole = aligned<Vector<T, N>>(dy) && aligned<Vector<T, N>>(y) && aligned<Vector<T, N>>(g);
  SumOf<N> sum = {};
#pragma unroll 1
  for (int row = own.begin; row < own.end; row += own.lanes) {
    const int at = row * C + own.c;
    const Vector<T, N> given = load_vector<N>(dy + at, whole), value = load_vector<N>(y + at, whole);
    Vector<T, N> left;
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const Acc v = value.of[i];
      const Acc behind = Acc(given.of[i]) * (N > 1 ? brief_slope(function, a, v) : slope(function, a, v, v));
      left.of[i] = T(behind), sum.value[i] += behind;
    }
    store_vector<N>(g + at, left, whole);
  }
  sum = merged(own, sum);
  if (!parts || own.lane || own.c >= C) return;
#pragma unroll
  for (int i = 0; i < N; ++i) parts[blockIdx.y * C + own.c + i] = sum.value[i];
}

extern "C" __global__ void __launch_bounds__(THREADS)
bias_activation_backward(const T* __restrict__ dy, const T* __restrict__ y, T* __restrict__ g,
                         Acc* __restrict__ parts /* or null */, int rows, int C, int function, Acc a) {
  if (is_wide(C, function)) behind_rows<ABREAST>(dy, y, g, parts, rows, C, function, a);
  else behind_rows<1>(dy, y, g, parts, rows, C, function, a);
}

extern "C" __global__ void __launch_bounds__(THREADS)
ended(T* __restrict__ y, const T* __restrict__ z /* or null */, const Acc* __restrict__ scale /* or null */,
      const Acc* __restrict__ shift /* or null */, int count, int C, int function, Acc a) {
  const int i = element();
  if (i >= count) return;
  const Ending end = {z, scale, shift, function, a};
  y[i] = T(end(Acc(y[i]), i % C, i));
}

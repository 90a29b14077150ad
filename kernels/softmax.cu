// Softmax and its logarithm over the rows of x (rows, columns), and their gradients.
//
//   softmax       y_k = exp(x_k - max) / sum_j exp(x_j - max)         dx_k = y_k (dy_k - sum_j dy_j y_j)
//   log_softmax   y_k = x_k - max - log sum_j exp(x_j - max)          dx_k = dy_k - exp(y_k) sum_j dy_j
//
// A warp of 32 threads has one row: its lanes take every 32nd column and add up by shuffles.
//
// Memory: forward reads x three times, the last two mostly from the cache, and writes y; backward likewise.
//
// Versions: this file, plain.
#include "softmax.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
softmax_forward(const T* __restrict__ x, T* __restrict__ y, int rows, int columns) {
  const int start = warp_row() * columns;
  if (warp_row() >= rows) return;  // a whole warp leaves
  const LogSoftmax scores(x + start, columns);
  for (int k = lane(); k < columns; k += WARP) y[start + k] = T(exp(scores.below(k)) / scores.total);
}

extern "C" __global__ void __launch_bounds__(THREADS)
log_softmax_forward(const T* __restrict__ x, T* __restrict__ y, int rows, int columns) {
  const int start = warp_row() * columns;
  if (warp_row() >= rows) return;
  const LogSoftmax scores(x + start, columns);
  const Acc size = log(scores.total);
  for (int k = lane(); k < columns; k += WARP) y[start + k] = T(scores.below(k) - size);
}

extern "C" __global__ void __launch_bounds__(THREADS)
softmax_backward(const T* __restrict__ dy, const T* __restrict__ y, T* __restrict__ dx, int rows, int columns) {
  const int start = warp_row() * columns;
  if (warp_row() >= rows) return;
  Acc sum = 0;
  for (int k = lane(); k < columns; k += WARP) sum += Acc(dy[start + k]) * Acc(y[start + k]);
  sum = warp_sum(sum);
  for (int k = lane(); k < columns; k += WARP) dx[start + k] = T(Acc(y[start + k]) * (Acc(dy[start + k]) - sum));
}

extern "C" __global__ void __launch_bounds__(THREADS)
log_softmax_backward(const T* __restrict__ dy, const T* __restrict__ y, T* __restrict__ dx, int rows, int columns) {
  const int start = warp_row() * columns;
  if (warp_row() >= rows) return;
  Acc sum = 0;
  for (int k = lane(); k < columns; k += WARP) sum += Acc(dy[start + k]);
  sum = warp_sum(sum);
  for (int k = lane(); k < columns; k += WARP) dx[start + k] = T(Acc(dy[start + k]) - exp(Acc(y[start + k])) * sum);
}

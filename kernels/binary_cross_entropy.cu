// Sigmoid cross-entropy of scores x (rows, columns), each class a yes-or-no question, yes for a row's label alone:
//
//   loss = sum over n,k of softplus(z_nk) / (rows columns)       z = -x where k is the label of n, x elsewhere
//   dx_nk = +-sigmoid(z_nk) / (rows columns)                     - where k is the label of n
//
// with softplus(z) = max(z, 0) + log(1 + e^-|z|): neither cancels nor overflows. In the forward kernel a warp of 32
// threads has one row and writes its share of the loss; sum_rows and add_parts (sums.cu) add these in a fixed order. In
// the backward kernel a thread has one element.
//
// Memory: forward reads x; backward reads it again and writes dx. An exponential, a logarithm or a division an element.
//
// Versions: this file, plain.
#include "warp.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
binary_cross_entropy_forward(const T* __restrict__ x, const int64* __restrict__ labels, T* __restrict__ losses,
                             int rows, int columns) {
  const int row = warp_row();
  if (row >= rows) return;  // a whole warp leaves
  Acc loss = 0;
  for (int k = lane(); k < columns; k += WARP) {
    const Acc score = x[row * columns + k], z = k == labels[row] ? -score : score;
    loss += (z < 0 ? Acc(0) : z) + log1p(exp(-fabs(z)));
  }
  loss = warp_sum(loss);
  if (lane() == 0) losses[row] = T(loss / Acc(rows) / Acc(columns));
}

extern "C" __global__ void __launch_bounds__(THREADS)
binary_cross_entropy_backward(const T* __restrict__ x, const int64* __restrict__ labels, T* __restrict__ dx, int rows,
                              int columns) {
  const int i = element();
  if (i >= rows * columns) return;
  const bool hit = i % columns == labels[i / columns];
  const Acc z = hit ? -Acc(x[i]) : Acc(x[i]), small = exp(-fabs(z));
  const Acc sigmoid = (z < 0 ? small : Acc(1)) / (1 + small);
  dx[i] = T((hit ? -sigmoid : sigmoid) / Acc(rows * columns));
}

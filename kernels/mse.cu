// Squared error of scores x (rows, columns) against targets that are `high` for a row's label and `low` elsewhere:
//
//   loss = slope / 2 sum over n,k of (x_nk - t_nk)^2       dx_nk = slope (x_nk - t_nk)
//
// slope: 2 / (rows columns) for the mean of the squares, 1 / rows for half their sum over a row. In the forward kernel
// a warp of 32 threads has one row and writes its share of the loss; sum_rows and add_parts (sums.cu) add these in a
// fixed order. In the backward kernel a thread has one element. A label that is no class makes every target `low`.
//
// Memory: forward reads x; backward reads it again and writes dx. 3 FLOPs an element.
//
// Versions: this file, plain.
#include "warp.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
mse_forward(const T* __restrict__ x, const int64* __restrict__ labels, T* __restrict__ losses, int rows, int columns,
            Acc low, Acc high, Acc slope) {
  const int row = warp_row();
  if (row >= rows) return;  // a whole warp leaves
  Acc loss = 0;
  for (int k = lane(); k < columns; k += WARP) {
    const Acc apart = Acc(x[row * columns + k]) - (k == labels[row] ? high : low);
    loss += apart * (apart * (slope / 2));
  }
  loss = warp_sum(loss);
  if (lane() == 0) losses[row] = T(loss);
}

extern "C" __global__ void __launch_bounds__(THREADS)
mse_backward(const T* __restrict__ x, const int64* __restrict__ labels, T* __restrict__ dx, int rows, int columns,
             Acc low, Acc high, Acc slope) {
  const int i = element();
  if (i >= rows * columns) return;
  dx[i] = T((Acc(x[i]) - (i % columns == labels[i / columns] ? high : low)) * slope);
}

// Softmax cross-entropy of scores x (rows, columns) against labels, with smoothing e and class weights v (1 for none).
//
//   t_nk = v_k ((1 - e) [k = label_n] + e / columns)       total = sum over n of v_(label_n)
//   loss = -sum_nk t_nk log softmax(x_n)_k / total         dx_nk = (softmax(x_n)_k sum_j t_nj - t_nk) / total
//
// A warp of 32 threads has one row. The forward kernel writes the logarithms, which backward needs, and each row's
// share of the loss and of the total; sum_rows and add_parts (sums.cu) add these in a fixed order. A label that is no
// class has no target: [k = label] is 0 for every k.
//
// Without class weights the total is the number of rows, and nothing has to be added up before dx: cross_entropy_both
// writes it together with the rows' shares of the loss, and one block, a thread every 256th row, adds these in order.
//
// Memory: forward reads x three times, the last two mostly from the cache, and writes the logarithms; backward reads
// them and writes dx. At once: reads x, writes dx.
//
// Versions: this file: forward and backward, or both at once.
#include "softmax.cuh"
#include "spread.cuh"

// The targets of one row; weights may be null.
struct Targets {
  const T* weights;
  int64 label;
  int columns;
  Acc smoothing;

  __device__ Acc weight(int k) const { return weights ? Acc(weights[k]) : Acc(1); }
  __device__ Acc own() const {  // the row's share of the total
    return weights ? (label >= 0 && label < columns ? Acc(weights[label]) : Acc(0)) : Acc(1);
  }
  __device__ Acc operator[](int k) const {
    return weight(k) * ((k == label ? 1 - smoothing : Acc(0)) + smoothing / Acc(columns));
  }
};

extern "C" __global__ void __launch_bounds__(THREADS)
cross_entropy_forward(const T* __restrict__ x, const int64* __restrict__ labels,
                      const T* __restrict__ weights /* or null */, T* __restrict__ logs, T* __restrict__ losses,
                      T* __restrict__ shares, int rows, int columns, Acc smoothing) {
  const int row = warp_row(), start = row * columns;
  if (row >= rows) return;  // a whole warp leaves
  const LogSoftmax scores(x + start, columns);
  const Targets targets = {weights, labels[row], columns, smoothing};
  const Acc size = log(scores.total);
  Acc loss = 0;
  for (int k = lane(); k < columns; k += WARP) {
    const Acc value = scores.below(k) - size;
    logs[start + k] = T(value);
    loss -= targets[k] * value;
  }
  loss = warp_sum(loss);
  if (lane() == 0) losses[row] = T(loss), shares[row] = T(targets.own());
}

extern "C" __global__ void __launch_bounds__(THREADS)
cross_entropy_backward(const T* __restrict__ logs, const int64* __restrict__ labels,
                       const T* __restrict__ weights /* or null */, const T* __restrict__ total, T* __restrict__ dx,
                       int rows, int columns, Acc smoothing) {
  const int row = warp_row(), start = row * columns;
  if (row >= rows) return;
  const Targets targets = {weights, labels[row], columns, smoothing};
  Acc sum = 0;
  for (int k = lane(); k < columns; k += WARP) sum += targets[k];
  sum = warp_sum(sum);
  for (int k = lane(); k < columns; k += WARP)
    dx[start + k] = T((exp(Acc(logs[start + k])) * sum - targets[k]) / Acc(*total));
}

extern "C" __global__ void __launch_bounds__(THREADS)
cross_entropy_both(const T* __restrict__ x, const int64* __restrict__ labels, T* __restrict__ dx,
                   Acc* __restrict__ losses, int rows, int columns, Acc smoothing) {
  const int row = warp_row(), start = row * columns;
  if (row >= rows) return;
  const LogSoftmax scores(x + start, columns);
  const Targets targets = {nullptr, labels[row], columns, smoothing};
  const Acc size = log(scores.total), share = Acc(1) / Acc(rows);
  Acc sum = 0, loss = 0;
  for (int k = lane(); k < columns; k += WARP) sum += targets[k];
  sum = warp_sum(sum);
  for (int k = lane(); k < columns; k += WARP) {
    const Acc value = scores.below(k) - size;
    dx[start + k] = T((exp(value) * sum - targets[k]) * share);
    loss -= targets[k] * value;
  }
  loss = warp_sum(loss);
  if (lane() == 0) losses[row] = loss;
}

extern "C" __global__ void __launch_bounds__(THREADS)
cross_entropy_mean(const Acc* __restrict__ losses, T* __restrict__ loss, int rows) {
  SumOf<1> sum = {};
  for (int row = threadIdx.x; row < rows; row += THREADS) sum.value[0] += losses[row];
  sum = merged({int(threadIdx.x), THREADS, 1}, sum);
  if (threadIdx.x == 0) *loss = T(sum.value[0] / Acc(rows));
}

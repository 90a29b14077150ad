// Batch normalisation over the rows of x (rows, C): each channel to mean 0 and variance 1, then scaled and shifted.
//
//   mean = sum x / M      var = sum (x - mean)^2 / M      inverse = 1 / sqrt(var + eps)             M = rows
//   deviation = x - mean            y = gamma inverse deviation + beta
//   dbeta = sum dy                  dgamma = inverse sum dy deviation
//   dx = gamma inverse (dy - dbeta / M - inverse deviation dgamma / M)
//
// Three launches forward: the statistics of each part of the rows (Welford's recurrence), their merger in order (Chan's
// formula), and the elements. Neither formula takes a difference of large sums, as E[x^2] - E[x]^2 would. Three
// backward: both sums of each part, their addition in order, the elements. In the first launch of three a block has 32
// channels of one part, and a thread every 8th row of one of them (columns.cuh); in the second a thread has one
// channel, in the third one element.
//
// x, y and their gradients are T; statistics, gamma, beta and their gradients are Acc: of halves float32.
//
// Memory: forward reads x twice and writes y; backward reads dy and x twice and writes dx. About 10 FLOPs an element
// each.
//
// Sources: S. Ioffe and C. Szegedy, arXiv:1502.03167; B. Welford, Technometrics 4, 1962; T. Chan et al., Stanford
// report STAN-CS-79-773.
//
// Versions: this file, plain.
#include "columns.cuh"

struct Moments {  // of some rows of a channel: how many, their mean, and the sum of their squared deviations from it
  Acc count, mean, square;
  __device__ void take(Acc value) {
    const Acc before = value - mean;
    count += 1;
    mean += before / count;
    square += before * (value - mean);
  }
  __device__ void merge(const Moments& other) {
    if (other.count == 0) return;
    const Acc apart = other.mean - mean, share = other.count / (count + other.count);
    mean += apart * share;
    square += other.square + apart * apart * count * share;
    count += other.count;
  }
};

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_part_statistics(const T* __restrict__ x, Acc* __restrict__ means, Acc* __restrict__ squares, int rows,
                           int C) {
  const Column own(rows, C);
  Moments found = {0, 0, 0};
  for (int row = own.begin; row < own.end; row += LANES) found.take(x[row * C + own.c]);
  found = merge_lanes(found);
  if (own.first(C)) means[blockIdx.y * C + own.c] = found.mean, squares[blockIdx.y * C + own.c] = found.square;
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_merge_statistics(const Acc* __restrict__ means, const Acc* __restrict__ squares, Acc* __restrict__ mean,
                            Acc* __restrict__ var, Acc* __restrict__ inverse, int rows, int C, int pieces, Acc eps) {
  const int c = element();
  if (c >= C) return;
  Moments all = {0, 0, 0};
  for (int j = 0; j < pieces; ++j) {
    const Part part(rows, j, pieces);
    all.merge({Acc(part.end - part.begin), means[j * C + c], squares[j * C + c]});
  }
  const Acc variance = all.square / Acc(rows);
  mean[c] = all.mean, var[c] = variance, inverse[c] = Acc(1) / sqrt(variance + eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_train(const T* __restrict__ x, const Acc* __restrict__ gamma, const Acc* __restrict__ beta,
                 const Acc* __restrict__ mean, const Acc* __restrict__ inverse, T* __restrict__ y,
                 int count, int C) {
  const int i = element(), c = i % C;
  if (i >= count) return;
  y[i] = T((Acc(x[i]) - mean[c]) * (gamma[c] * inverse[c]) + beta[c]);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_eval(const T* __restrict__ x, const Acc* __restrict__ gamma, const Acc* __restrict__ beta,
                const Acc* __restrict__ mean, const Acc* __restrict__ var, T* __restrict__ y, int count, int C,
                Acc eps) {
  const int i = element(), c = i % C;
  if (i >= count) return;
  const Acc scale = gamma[c] / sqrt(var[c] + eps);
  y[i] = T((Acc(x[i]) - mean[c]) * scale + beta[c]);
}

struct Sums {  // over some rows of a channel: of dy, and of dy times the deviation
  Acc dy, product;
  __device__ void merge(const Sums& other) { dy += other.dy, product += other.product; }
};

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_part_sums(const T* __restrict__ dy, const T* __restrict__ x, const Acc* __restrict__ mean,
                     Acc* __restrict__ sums, Acc* __restrict__ products, int rows, int C) {
  const Column own(rows, C);
  Sums found = {0, 0};
  for (int row = own.begin; row < own.end; row += LANES) {
    const Acc d = dy[row * C + own.c];
    found.merge({d, d * (Acc(x[row * C + own.c]) - mean[own.c])});
  }
  found = merge_lanes(found);
  if (own.first(C)) sums[blockIdx.y * C + own.c] = found.dy, products[blockIdx.y * C + own.c] = found.product;
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_add_sums(const Acc* __restrict__ sums, const Acc* __restrict__ products, const Acc* __restrict__ inverse,
                    Acc* __restrict__ dgamma, Acc* __restrict__ dbeta, int C, int pieces) {
  const int c = element();
  if (c >= C) return;
  Sums all = {0, 0};
  for (int j = 0; j < pieces; ++j) all.merge({sums[j * C + c], products[j * C + c]});
  dbeta[c] = all.dy, dgamma[c] = all.product * inverse[c];
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_backward(const T* __restrict__ dy, const T* __restrict__ x, const Acc* __restrict__ mean,
                    const Acc* __restrict__ inverse, const Acc* __restrict__ gamma, const Acc* __restrict__ dgamma,
                    const Acc* __restrict__ dbeta, T* __restrict__ dx, int rows, int C) {
  const int i = element(), c = i % C;
  if (i >= rows * C) return;
  const Acc scale = inverse[c], share = Acc(1) / Acc(rows);
  const Acc deviation = Acc(x[i]) - mean[c];
  const Acc apart = Acc(dy[i]) - dbeta[c] * share - deviation * (scale * dgamma[c] * share);
  dx[i] = T(gamma[c] * scale * apart);
}

// Batch normalisation over the rows of x (rows, C), each channel to mean 0 and variance 1, then scaled and shifted;
// what stands beside it, another array z, is added, and an activation f ends it all: y = f(v + z). Neither need be
// there.
//
//   mean = sum x / M      var = sum (x - mean)^2 / M      inverse = 1 / sqrt(var + eps)             M = rows
//   deviation = x - mean            v = gamma inverse deviation + beta
//   g = dy f'                       dz = g         dbeta = sum g         dgamma = inverse sum g deviation
//   dx = gamma inverse (g - dbeta / M - inverse deviation dgamma / M)
//
// Three launches forward: the statistics of each part of the rows (Welford's recurrence), their merger (Chan's
// formula), and the elements. Neither formula takes a difference of large sums, as E[x^2] - E[x]^2 would. The first is
// spared where a convolution has taken the statistics of what it wrote (moments.cuh), in parts of its tiles. Three
// backward: both sums of each part, their sum, the elements. In the first and the last of three a thread has ABREAST
// neighbouring channels of a part of the rows (spread.cuh), one where C is no multiple of ABREAST or where f takes more
// than relu does; in the second, every 32nd part of one channel. The merger also takes the batch into the running
// statistics.
//
// Backward finds f' from y where it is given, else anew from v, which only x and the channel's numbers are read for:
// v is made by one function, in steps whose rounding no compiler may change. Where z was added, the first launch
// leaves g, and the last one starts from that.
//
// x, y, z and their gradients are T; statistics, gamma, beta and their gradients are Acc: of halves float32.
//
// Memory: forward reads x twice and z, writes y; backward reads dy and x twice and writes dx, or, with z, reads dy, y
// and x, writes g, reads it and x, and writes dx. About 10 FLOPs an element each.
//
// Sources: S. Ioffe and C. Szegedy, arXiv:1502.03167; B. Welford, Technometrics 4, 1962; T. Chan et al., Stanford
// report STAN-CS-79-773.
//
// Versions: this file.
#include "activation.cuh"
#include "moments.cuh"
#include "spread.cuh"

template <int N>
struct Sums {  // over some rows of N channels: of g, and of g times the deviation
  Acc g[N], product[N];
  __device__ void merge(const Sums& other) {
#pragma unroll
    for (int i = 0; i < N; ++i) g[i] += other.g[i], product[i] += other.product[i];
  }
};

static __device__ inline Acc normalised(Acc x, Acc mean, Acc scale, Acc beta) { return fma(x - mean, scale, beta); }

template <int N>
struct Channels {  // what N channels are normalised with
  Acc mean[N], scale[N], beta[N];
  // scale_of(channel): gamma inverse.
  template <class ScaleOf>
  __device__ Channels(const Acc* means, const Acc* betas, int c, int C, ScaleOf scale_of) {
#pragma unroll
    for (int i = 0; i < N; ++i)
      if (c < C) mean[i] = means[c + i], scale[i] = scale_of(c + i), beta[i] = betas[c + i];
  }
  // g: what dy is behind the activation; its value is y where that is given, and tells the slope then.
  __device__ Acc behind(int i, Acc dy, Acc x, bool given, Acc y, int function, Acc a) const {
    const Acc v = given ? y : normalised(x, mean[i], scale[i], beta[i]);
    if constexpr (N > 1) return dy * brief_slope(function, a, v);
    else return dy * slope(function, a, v, given ? y : activated(function, a, v));
  }
};

template <int N>
static __device__ void part_statistics(const T* x, Acc* means, Acc* squares, int rows, int C) {
  const Spread<N> own(rows, C);
  const bool whole = aligned<Vector<T, N>>(x);
  Moments<N> found = {};
#pragma unroll 4
  for (int row = own.begin; row < own.end; row += own.lanes) {
    const Vector<T, N> values = load_vector<N>(x + row * C + own.c, whole);
    const Acc share = found.next();
#pragma unroll
    for (int i = 0; i < N; ++i) found.take(i, values.of[i], share);
  }
  found = merged(own, found);
  if (own.lane || own.c >= C) return;
#pragma unroll
  for (int i = 0; i < N; ++i) {
    means[blockIdx.y * C + own.c + i] = found.mean[i];
    squares[blockIdx.y * C + own.c + i] = found.square[i];
  }
}

template <int N, class ScaleOf>
static __device__ void elements(const T* x, const Acc* mean, const Acc* beta, const T* z, T* y, int rows, int C,
                                int function, Acc a, ScaleOf scale_of) {
  const Spread<N> own(rows, C);
  const Channels<N> by(mean, beta, own.c, C, scale_of);
  const bool whole = aligned<Vector<T, N>>(x) && aligned<Vector<T, N>>(y) && aligned<Vector<T, N>>(z);
#pragma unroll (N > 1 ? 2 : 1)
  for (int row = own.begin; row < own.end; row += own.lanes) {
    const int at = row * C + own.c;
    const Vector<T, N> seen = load_vector<N>(x + at, whole);
    Vector<T, N> added = {}, result;
    if (z) added = load_vector<N>(z + at, whole);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const Acc v = normalised(seen.of[i], by.mean[i], by.scale[i], by.beta[i]);
      const Acc sum = z ? v + Acc(added.of[i]) : v;
      result.of[i] = T(N > 1 ? briefly_activated(function, a, sum) : activated(function, a, sum));
    }
    store_vector<N>(y + at, result, whole);
  }
}

template <int N>
static __device__ void part_sums(const T* dy, const T* x, const T* y, const Acc* mean, const Acc* inverse,
                                 const Acc* gamma, const Acc* beta, T* g, Acc* sums, Acc* products, int rows, int C,
                                 int function, Acc a) {
  const Spread<N> own(rows, C);
  const Channels<N> by(mean, beta, own.c, C, [&](int c) { return gamma[c] * inverse[c]; });
  const bool whole = aligned<Vector<T, N>>(dy) && aligned<Vector<T, N>>(x) && aligned<Vector<T, N>>(y);
  Sums<N> found = {};
#pragma unroll 1
  for (int row = own.begin; row < own.end; row += own.lanes) {
    const int at = row * C + own.c;
    const Vector<T, N> given = load_vector<N>(dy + at, whole), seen = load_vector<N>(x + at, whole);
    Vector<T, N> value = {}, left;
    if (y) value = load_vector<N>(y + at, whole);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const Acc behind = by.behind(i, given.of[i], seen.of[i], y, value.of[i], function, a);
      left.of[i] = T(behind);
      found.g[i] += behind, found.product[i] += behind * (Acc(seen.of[i]) - by.mean[i]);
    }
    if (g) store_vector<N>(g + at, left, aligned<Vector<T, N>>(g));
  }
  found = merged(own, found);
  if (own.lane || own.c >= C) return;
#pragma unroll
  for (int i = 0; i < N; ++i) {
    sums[blockIdx.y * C + own.c + i] = found.g[i];
    products[blockIdx.y * C + own.c + i] = found.product[i];
  }
}

template <int N>
static __device__ void gradients(const T* dy, const T* x, const Acc* mean, const Acc* inverse, const Acc* gamma,
                                 const Acc* beta, const Acc* dgamma, const Acc* dbeta, T* dx, int rows, int C,
                                 int function, Acc a) {
  const Spread<N> own(rows, C);
  const Channels<N> by(mean, beta, own.c, C, [&](int c) { return gamma[c] * inverse[c]; });
  Acc shift[N], tilt[N];  // dbeta / M and inverse dgamma / M
#pragma unroll
  for (int i = 0; i < N; ++i) {
    if (own.c >= C) break;
    const Acc share = Acc(1) / Acc(rows);
    shift[i] = dbeta[own.c + i] * share, tilt[i] = inverse[own.c + i] * dgamma[own.c + i] * share;
  }
  const bool whole = aligned<Vector<T, N>>(dy) && aligned<Vector<T, N>>(x) && aligned<Vector<T, N>>(dx);
#pragma unroll 1
  for (int row = own.begin; row < own.end; row += own.lanes) {
    const int at = row * C + own.c;
    const Vector<T, N> given = load_vector<N>(dy + at, whole), seen = load_vector<N>(x + at, whole);
    Vector<T, N> result;
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const Acc behind = by.behind(i, given.of[i], seen.of[i], false, 0, function, a);
      result.of[i] = T(by.scale[i] * (behind - shift[i] - (Acc(seen.of[i]) - by.mean[i]) * tilt[i]));
    }
    store_vector<N>(dx + at, result, whole);
  }
}

// ---- kernels ----------------------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_part_statistics(const T* __restrict__ x, Acc* __restrict__ means, Acc* __restrict__ squares, int rows,
                           int C) {
  if (is_wide(C, IDENTITY)) part_statistics<ABREAST>(x, means, squares, rows, C);
  else part_statistics<1>(x, means, squares, rows, C);
}

constexpr int MERGED = 8;  // parts that a thread has on their way at once: a convolution's tiles may be thousands

// size: the rows of a part, of which the last may have fewer; momentum: the weight of the batch in the running
// statistics, with the estimate of the variance that is divided by M - 1.
extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_merge_statistics(const Acc* __restrict__ means, const Acc* __restrict__ squares, Acc* __restrict__ mean,
                            Acc* __restrict__ var, Acc* __restrict__ inverse,
                            Acc* __restrict__ running_mean /* or null */, Acc* __restrict__ running_var /* or null */,
                            int rows, int C, int pieces, int size, Acc eps, Acc momentum) {
  const Columns own;
  Moments<1> all = {};
  for (int first = own.lane; own.c < C && first < pieces; first += MERGED * own.lanes) {
    Moments<1> some[MERGED];
#pragma unroll
    for (int i = 0; i < MERGED; ++i) {
      const int j = first + i * own.lanes, at = (j < pieces ? j : 0) * C + own.c;
      some[i] = {Acc(j < pieces ? max(0, min(size, rows - j * size)) : 0), {means[at]}, {squares[at]}};
    }
#pragma unroll
    for (int i = 0; i < MERGED; ++i) all.merge(some[i]);
  }
  all = merged(own, all);
  if (own.lane || own.c >= C) return;
  const int c = own.c;
  const Acc variance = all.square[0] / Acc(rows);
  mean[c] = all.mean[0], var[c] = variance, inverse[c] = Acc(1) / sqrt(variance + eps);
  if (!running_mean) return;
  running_mean[c] = (1 - momentum) * running_mean[c] + momentum * all.mean[0];
  running_var[c] = (1 - momentum) * running_var[c] + momentum * (all.square[0] / Acc(rows - 1));
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_train(const T* __restrict__ x, const Acc* __restrict__ gamma, const Acc* __restrict__ beta,
                 const Acc* __restrict__ mean, const Acc* __restrict__ inverse, const T* __restrict__ z /* or null */,
                 T* __restrict__ y, int rows, int C, int function, Acc a) {
  const auto scale_of = [&](int c) { return gamma[c] * inverse[c]; };
  if (is_wide(C, function)) elements<ABREAST>(x, mean, beta, z, y, rows, C, function, a, scale_of);
  else elements<1>(x, mean, beta, z, y, rows, C, function, a, scale_of);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_eval(const T* __restrict__ x, const Acc* __restrict__ gamma, const Acc* __restrict__ beta,
                const Acc* __restrict__ mean, const Acc* __restrict__ var, const T* __restrict__ z /* or null */,
                T* __restrict__ y, int rows, int C, int function, Acc a, Acc eps) {
  const auto scale_of = [&](int c) { return gamma[c] / sqrt(var[c] + eps); };
  if (is_wide(C, function)) elements<ABREAST>(x, mean, beta, z, y, rows, C, function, a, scale_of);
  else elements<1>(x, mean, beta, z, y, rows, C, function, a, scale_of);
}

// A norm with given statistics as a factor and a summand of each channel, for a convolution to end with.
extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_fold(const Acc* __restrict__ gamma, const Acc* __restrict__ beta, const Acc* __restrict__ mean,
                const Acc* __restrict__ var, Acc* __restrict__ scale, Acc* __restrict__ shift, int C, Acc eps) {
  const int c = element();
  if (c >= C) return;
  scale[c] = gamma[c] / sqrt(var[c] + eps);
  shift[c] = fma(-mean[c], scale[c], beta[c]);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_part_sums(const T* __restrict__ dy, const T* __restrict__ x, const T* __restrict__ y /* or null */,
                     const Acc* __restrict__ mean, const Acc* __restrict__ inverse, const Acc* __restrict__ gamma,
                     const Acc* __restrict__ beta, T* __restrict__ g /* or null */, Acc* __restrict__ sums,
                     Acc* __restrict__ products, int rows, int C, int function, Acc a) {
  if (is_wide(C, function))
    part_sums<ABREAST>(dy, x, y, mean, inverse, gamma, beta, g, sums, products, rows, C, function, a);
  else part_sums<1>(dy, x, y, mean, inverse, gamma, beta, g, sums, products, rows, C, function, a);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_add_sums(const Acc* __restrict__ sums, const Acc* __restrict__ products, const Acc* __restrict__ inverse,
                    Acc* __restrict__ dgamma, Acc* __restrict__ dbeta, int C, int pieces) {
  const Columns own;
  Sums<1> all = {};
  for (int j = own.lane; own.c < C && j < pieces; j += own.lanes)
    all.merge({{sums[j * C + own.c]}, {products[j * C + own.c]}});
  all = merged(own, all);
  if (own.lane || own.c >= C) return;
  dbeta[own.c] = all.g[0], dgamma[own.c] = all.product[0] * inverse[own.c];
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
batch_norm_backward(const T* __restrict__ dy, const T* __restrict__ x, const Acc* __restrict__ mean,
                    const Acc* __restrict__ inverse, const Acc* __restrict__ gamma, const Acc* __restrict__ beta,
                    const Acc* __restrict__ dgamma, const Acc* __restrict__ dbeta, T* __restrict__ dx, int rows, int C,
                    int function, Acc a) {
  if (is_wide(C, function))
    gradients<ABREAST>(dy, x, mean, inverse, gamma, beta, dgamma, dbeta, dx, rows, C, function, a);
  else gradients<1>(dy, x, mean, inverse, gamma, beta, dgamma, dbeta, dx, rows, C, function, a);
}

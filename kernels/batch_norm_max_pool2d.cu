// Batch normalisation and the maximum of each window of it, without the normalised images in between: batch_norm.cu has
// the statistics and the formulas, pool2d.cu those of maxima.
//
//   y[n,p,q,c] = max over r,s of  v[n,h,w,c]         v = gamma inverse (x - mean) + beta; relu of that, if asked for
//   g[n,h,w,c] = sum of the dy[n,p,q,c] whose window chose (h, w)
//   dbeta = sum dy      dgamma = inverse sum dy (x - mean)         over the windows, x where the maximum stood
//   dx = gamma inverse (g - dbeta / M - inverse (x - mean) dgamma / M)                             M = N*H*W
//
// v is rounded to T before it is compared, as if it had been written: the same element is chosen.
//
// A thread has one element: of y, a channel of some windows, of dx. Sums are taken as in batch_norm.cu.
//
// Memory: forward reads x and writes y and the index; backward reads dy, the index and, where maxima stood, x, then dy,
// the index and all of x, and writes dx.
//
// Versions: this file, plain.
#include "maximum.cuh"
#include "normalised.cuh"
#include "spread.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_max_pool2d_forward(const T* __restrict__ x, const Acc* __restrict__ gamma, const Acc* __restrict__ beta,
                              const Acc* __restrict__ mean, const Acc* __restrict__ inverse, T* __restrict__ y,
                              uint8* __restrict__ index, Window g, int relu) {
  const int i = element();
  if (i >= g.N * g.P * g.Q * g.C) return;
  const Place out(i, g.P, g.Q, g.C);
  const int c = out.channel;
  const Acc scale = gamma[c] * inverse[c], shift = beta[c], middle = mean[c];
  const Maximum best = maximum(g, out, relu, [&](int pixel) {
    return Acc(T(normalised(x[pixel * g.C + c], middle, scale, shift)));
  });
  y[i] = T(best.value), index[i] = uint8(best.tap);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_max_pool2d_part_sums(const T* __restrict__ dy, const uint8* __restrict__ index, const T* __restrict__ x,
                                const Acc* __restrict__ mean, Acc* __restrict__ sums, Acc* __restrict__ products,
                                Window g) {
  const Spread<1> own(g.N * g.P * g.Q, g.C);
  const Acc middle = own.c < g.C ? mean[own.c] : 0;
  SumOf<2> found = {};
#pragma unroll 1
  for (int row = own.begin; row < own.end; row += own.lanes) {
    const int tap = index[row * g.C + own.c];
    if (tap == g.R * g.S) continue;
    const int pixel = met_pixel(g, Place(row, g.P, g.Q, 1), tap / g.S, tap % g.S);
    const Acc given = dy[row * g.C + own.c];
    found.value[0] += given, found.value[1] += given * (Acc(x[pixel * g.C + own.c]) - middle);
  }
  found = merged(own, found);
  if (own.lane || own.c >= g.C) return;
  sums[blockIdx.y * g.C + own.c] = found.value[0], products[blockIdx.y * g.C + own.c] = found.value[1];
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_max_pool2d_backward(const T* __restrict__ dy, const uint8* __restrict__ index, const T* __restrict__ x,
                               const Acc* __restrict__ mean, const Acc* __restrict__ inverse,
                               const Acc* __restrict__ gamma, const Acc* __restrict__ dgamma,
                               const Acc* __restrict__ dbeta, T* __restrict__ dx, Window g) {
  const int i = element();
  if (i >= g.N * g.H * g.W * g.C) return;
  const Place in(i, g.H, g.W, g.C);
  const int c = in.channel;
  const Acc share = Acc(1) / Acc(g.N * g.H * g.W);
  const Acc sum = given_back(dy, index, g, in);
  const Acc tilt = (Acc(x[i]) - mean[c]) * (inverse[c] * dgamma[c] * share);
  dx[i] = T(gamma[c] * inverse[c] * (sum - dbeta[c] * share - tilt));
}

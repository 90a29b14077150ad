// Depthwise convolution: groups = C, so that output k sees channel k / (K/C) alone, and w is (K, R, S, 1).
//
//   forward            y[n,p,q,k] = b[k] + sum over r,s of  x[n,h,w,k/m] w[k,r,s]         m = K/C
//   backward data     dx[n,h,w,c] = sum over j,r,s of  dy[n,p,q,c*m+j] w[c*m+j,r,s]       j = 0 .. m-1
//   backward weight     dw[k,r,s] = sum over n,p,q of  dy[n,p,q,k] x[n,h,w,k/m]
//
// Forward ends with what stands in epilogue.cuh; backward data adds z if it is there.
//
// A thread computes one output; neighbouring threads have neighbouring channels, in the weight gradient as well, where
// the general kernel (conv2d.cu) would have neighbouring taps, which are far apart in x. There is no sum over channels.
//
// Memory: limited by it. x and y pass once (an element of x is read R*S times, all but the first from the cache);
// 2 R*S FLOPs an output. The weight gradient is summed in parts as in conv2d.cu.
//
// Versions: this file, plain.
#include "epilogue.cuh"
#include "window.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
depthwise_forward(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                  T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                  const Acc* __restrict__ scale /* or null */, const Acc* __restrict__ shift /* or null */,
                  int function, Acc a) {
  const int i = element();
  if (i >= g.N * g.P * g.Q * g.K) return;
  const Place out(i, g.P, g.Q, g.K);
  const int k = out.channel, c = k / (g.K / g.C);
  Acc sum = 0;
  visit_inputs(g, out, [&](int pixel, int tap) { sum += Acc(x[pixel * g.C + c]) * Acc(w[k * g.R * g.S + tap]); });
  const Ending end = {z, scale, shift, function, a};
  y[i] = T(end(b ? sum + Acc(b[k]) : sum, k, i));
}

extern "C" __global__ void __launch_bounds__(THREADS)
depthwise_backward_data(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                        T* __restrict__ dx, Window g) {
  const int i = element();
  if (i >= g.N * g.H * g.W * g.C) return;
  const Place in(i, g.H, g.W, g.C);
  const int outputs = g.K / g.C, first = in.channel * outputs;
  Acc sum = 0;
  visit_outputs(g, in, [&](int position, int tap) {
    for (int k = first; k < first + outputs; ++k) sum += Acc(dy[position * g.K + k]) * Acc(w[k * g.R * g.S + tap]);
  });
  dx[i] = T(z ? sum + Acc(z[i]) : sum);
}

extern "C" __global__ void __launch_bounds__(THREADS)
depthwise_backward_weight(const T* __restrict__ x, const T* __restrict__ dy, Acc* __restrict__ parts, Window g) {
  const int count = g.K * g.R * g.S, i = element();
  if (i >= count) return;
  const int k = i % g.K, tap = i / g.K, c = k / (g.K / g.C);
  const Part positions(g.N * g.P * g.Q);
  Acc sum = 0;
  for (int m = positions.begin; m < positions.end; ++m) {
    const int pixel = met_pixel(g, Place(m, g.P, g.Q, 1), tap / g.S, tap % g.S);
    if (pixel >= 0) sum += Acc(dy[m * g.K + k]) * Acc(x[pixel * g.C + c]);
  }
  parts[blockIdx.y * count + k * g.R * g.S + tap] = sum;
}

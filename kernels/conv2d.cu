// Convolution: the readable reference on the device, one thread an output.
//
//   forward            y[n,p,q,k] = b[k] + sum over r,s,c of  x[n,h,w,c] w[k,r,s,c]
//   backward data     dx[n,h,w,c] = sum over k,r,s of  dy[n,p,q,k] w[k,r,s,c]
//   backward weight   dw[k,r,s,c] = sum over n,p,q of  dy[n,p,q,k] x[n,h,w,c]
//
// with h = p*stride + r*dilation - top, and w (the column) likewise from q, s and left; what lies outside is left out.
// With groups, an output sees the C/groups channels of its own group. The bias gradient is sum_rows of dy (sums.cu).
//
// Forward ends with what stands in epilogue.cuh: a batch norm's factors, another array, an activation. Backward data
// ends with another gradient of x, z, if it is there: dx + z, such as where the two ways of a residual block begin.
//
// A thread computes one element and carries its sum in a register. Neighbouring threads have neighbouring channels:
// what they write, and one of the two factors that they read, are consecutive in memory; the other is the same for the
// whole group of threads.
//
// Memory: an element of x is read R*S*K/groups times, one of w N*P*Q times, nearly always from the cache; 2 FLOPs go
// with each pair. The weight gradient has few outputs and long sums: the N*P*Q terms are cut into a fixed number of
// parts (blockIdx.y), each part's sums are written in Acc, and add_parts (sums.cu) adds them in order.
//
// Versions: this file, plain; conv2d_tiled.cu, by tiles; conv2d_depthwise.cu, where channels have kernels of their own.
#include "epilogue.cuh"
#include "window.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
conv2d_forward(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
               T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
               const Acc* __restrict__ scale /* or null */,
               const Acc* __restrict__ shift /* or null */, int function, Acc a) {
  const int i = element();
  if (i >= g.N * g.P * g.Q * g.K) return;
  const Place out(i, g.P, g.Q, g.K);
  const int depth = g.C / g.groups, k = out.channel, first = k / (g.K / g.groups) * depth;
  Acc sum = 0;
  visit_inputs(g, out, [&](int pixel, int tap) {
    const T *inputs = x + pixel * g.C + first, *weights = w + (k * g.R * g.S + tap) * depth;
    for (int c = 0; c < depth; ++c) sum += Acc(inputs[c]) * Acc(weights[c]);
  });
  const Ending end = {z, scale, shift, function, a};
  y[i] = T(end(b ? sum + Acc(b[k]) : sum, k, i));
}

extern "C" __global__ void __launch_bounds__(THREADS)
conv2d_backward_data(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                     T* __restrict__ dx, Window g) {
  const int i = element();
  if (i >= g.N * g.H * g.W * g.C) return;
  const Place in(i, g.H, g.W, g.C);
  const int depth = g.C / g.groups, outputs = g.K / g.groups, c = in.channel % depth;
  const int first = in.channel / depth * outputs;  // the group's first output
  Acc sum = 0;
  visit_outputs(g, in, [&](int position, int tap) {
    for (int k = first; k < first + outputs; ++k)
      sum += Acc(dy[position * g.K + k]) * Acc(w[(k * g.R * g.S + tap) * depth + c]);
  });
  dx[i] = T(z ? sum + Acc(z[i]) : sum);
}

extern "C" __global__ void __launch_bounds__(THREADS)
conv2d_backward_weight(const T* __restrict__ x, const T* __restrict__ dy, Acc* __restrict__ parts, Window g) {
  const int depth = g.C / g.groups, count = g.K * g.R * g.S * depth, i = element();
  if (i >= count) return;
  const Place at(i, g.R, g.S, depth);
  const int k = at.n, c = k / (g.K / g.groups) * depth + at.channel;
  const Part positions(g.N * g.P * g.Q);
  Acc sum = 0;
  for (int m = positions.begin; m < positions.end; ++m) {
    const int pixel = met_pixel(g, Place(m, g.P, g.Q, 1), at.row, at.column);
    if (pixel >= 0) sum += Acc(dy[m * g.K + k]) * Acc(x[pixel * g.C + c]);
  }
  parts[blockIdx.y * count + i] = sum;
}

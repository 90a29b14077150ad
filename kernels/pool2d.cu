// Pooling: the maximum, sum or mean of each window of an image, and how a gradient goes back through it.
//
//   maximum          y[n,p,q,c] = max over r,s of  x[n,h,w,c]           h = p*stride + r - top, w likewise, with left
//                index[n,p,q,c] = r*S + s of the first maximum; R*S, and y = NaN, where the window has a NaN
//                relu of that, where it is asked for: y = max(y, 0), and R*S where nothing in the window is positive
//   its gradient    dx[n,h,w,c] = sum of the dy[n,p,q,c] whose window chose (h, w)
//   sum, mean        y[n,p,q,c] = weight * sum over r,s of  x[n,h,w,c]
//   its gradient    dx[n,h,w,c] = sum over the windows that (h, w) lies in of  weight * dy[n,p,q,c]
//
// A thread computes one element, in the backward passes one of dx: it visits the windows that hold its input, so that
// nothing is added by two threads. Neighbouring threads have neighbouring channels.
//
// Memory: limited by it. x, y and, of the maximum, an index of 1 byte (4 where R*S > 255) pass once; inputs that lie
// in several windows come from the cache again.
//
// Versions: this file, plain.
#include "maximum.cuh"

template <class Index>
static __device__ void max_forward(const T* __restrict__ x, T* __restrict__ y, Index* __restrict__ index, Window g,
                                   int relu) {
  const int i = element();
  if (i >= g.N * g.P * g.Q * g.C) return;
  const Place out(i, g.P, g.Q, g.C);
  const Maximum best = maximum(g, out, relu, [&](int pixel) { return Acc(x[pixel * g.C + out.channel]); });
  y[i] = T(best.value), index[i] = Index(best.tap);
}

template <class Index>
static __device__ void max_backward(const T* __restrict__ dy, const Index* __restrict__ index, T* __restrict__ dx,
                                    Window g) {
  const int i = element();
  if (i >= g.N * g.H * g.W * g.C) return;
  dx[i] = T(given_back(dy, index, g, Place(i, g.H, g.W, g.C)));
}

extern "C" __global__ void __launch_bounds__(THREADS)
max_pool2d_forward_byte(const T* __restrict__ x, T* __restrict__ y, uint8* __restrict__ index, Window g, int relu) {
  max_forward(x, y, index, g, relu);
}

extern "C" __global__ void __launch_bounds__(THREADS)
max_pool2d_forward_int(const T* __restrict__ x, T* __restrict__ y, int* __restrict__ index, Window g, int relu) {
  max_forward(x, y, index, g, relu);
}

extern "C" __global__ void __launch_bounds__(THREADS)
max_pool2d_backward_byte(const T* __restrict__ dy, const uint8* __restrict__ index, T* __restrict__ dx, Window g) {
  max_backward(dy, index, dx, g);
}

extern "C" __global__ void __launch_bounds__(THREADS)
max_pool2d_backward_int(const T* __restrict__ dy, const int* __restrict__ index, T* __restrict__ dx, Window g) {
  max_backward(dy, index, dx, g);
}

enum Weight { SUM, MEAN, MEAN_INSIDE };  // of a window: 1, 1 / (R*S), 1 / (how many of its positions are in the image)

// How many of a window's positions along one direction are in the image, where it starts at `start`.
static __device__ inline int inside(int start, int kernel, int size) {
  return min(start + kernel, size) - max(start, 0);
}

static __device__ inline Acc window_weight(int weight, int p, int q, const Window& g) {
  if (weight == SUM) return 1;
  if (weight == MEAN) return Acc(1) / Acc(g.R * g.S);
  return Acc(1) / Acc(inside(p * g.stride_h - g.top, g.R, g.H) * inside(q * g.stride_w - g.left, g.S, g.W));
}

extern "C" __global__ void __launch_bounds__(THREADS)
sum_pool2d_forward(const T* __restrict__ x, T* __restrict__ y, Window g, int weight) {
  const int i = element();
  if (i >= g.N * g.P * g.Q * g.C) return;
  const Place out(i, g.P, g.Q, g.C);
  Acc sum = 0;
  visit_inputs(g, out, [&](int pixel, int) { sum += Acc(x[pixel * g.C + out.channel]); });
  y[i] = T(sum * window_weight(weight, out.row, out.column, g));
}

extern "C" __global__ void __launch_bounds__(THREADS)
sum_pool2d_backward(const T* __restrict__ dy, T* __restrict__ dx, Window g, int weight) {
  const int i = element();
  if (i >= g.N * g.H * g.W * g.C) return;
  const Place in(i, g.H, g.W, g.C);
  Acc sum = 0;
  visit_outputs(g, in, [&](int position, int) {
    const Place out(position, g.P, g.Q, 1);
    sum += window_weight(weight, out.row, out.column, g) * Acc(dy[position * g.C + in.channel]);
  });
  dx[i] = T(sum);
}

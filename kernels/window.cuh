// The geometry of a window that slides over images, shared by convolution and pooling.
//
//   x (N, H, W, C)   w (K, R, S, C/groups)   y (N, P, Q, K)       pooling: K = C, dilation 1
//
// Along one direction, output p and tap r meet input h = p*stride + r*dilation - top. Turned around: input h is met by
// the taps with r*dilation = h + top (mod stride), and by no others; they are `step` = stride / gcd(stride, dilation)
// apart. A thread that computes an input's gradient visits those alone, so that nothing is multiplied by the zeros
// that a stride would have put between the elements of dy.
#pragma once
#include "types.cuh"

struct Window {
  int N, H, W, C, K, R, S, P, Q, groups;
  int stride_h, stride_w, dilation_h, dilation_w, top, left, step_h, step_w;
};

// Image, row, column and channel of an element of an array (N, rows, columns, channels).
struct Place {
  int n, row, column, channel;
  __device__ Place(int i, int rows, int columns, int channels) {
    channel = i % channels, i /= channels;
    column = i % columns, i /= columns;
    row = i % rows, n = i / rows;
  }
};

// Which pixel of x (N, H, W) an output meets at tap (r, s); -1 outside of the image.
static __device__ inline int met_pixel(const Window& g, const Place& out, int r, int s) {
  const int row = out.row * g.stride_h + r * g.dilation_h - g.top;
  const int column = out.column * g.stride_w + s * g.dilation_w - g.left;
  return row < 0 || row >= g.H || column < 0 || column >= g.W ? -1 : (out.n * g.H + row) * g.W + column;
}

// Calls visit(pixel, tap) for the taps r*S + s at which an output meets a pixel of x, in order.
template <class Visit>
static __device__ void visit_inputs(const Window& g, const Place& out, Visit visit) {
  for (int r = 0; r < g.R; ++r)
    for (int s = 0; s < g.S; ++s) {
      const int pixel = met_pixel(g, out, r, s);
      if (pixel >= 0) visit(pixel, r * g.S + s);
    }
}

// The first of `taps` taps that reaches the input at `position`, counted from the edge of the padding; `taps` where
// none does.
static __device__ inline int first_tap(int position, int taps, int stride, int dilation, int step) {
  for (int r = 0; r < min(step, taps); ++r)
    if ((position - r * dilation) % stride == 0) return r;
  return taps;
}

// Calls visit(position, tap) for the taps r*S + s at which an input is met, and the position in y (N, P, Q) of the
// output that meets it; in order of taps.
template <class Visit>
static __device__ void visit_outputs(const Window& g, const Place& in, Visit visit) {
  const int row = in.row + g.top, column = in.column + g.left;
  const int r0 = first_tap(row, g.R, g.stride_h, g.dilation_h, g.step_h);
  const int s0 = first_tap(column, g.S, g.stride_w, g.dilation_w, g.step_w);
  for (int r = r0; r < g.R && r * g.dilation_h <= row; r += g.step_h) {
    const int p = (row - r * g.dilation_h) / g.stride_h;
    if (p >= g.P) continue;
    for (int s = s0; s < g.S && s * g.dilation_w <= column; s += g.step_w) {
      const int q = (column - s * g.dilation_w) / g.stride_w;
      if (q < g.Q) visit((in.n * g.P + p) * g.Q + q, r * g.S + s);
    }
  }
}

struct Phase {  // along one direction: the inputs first, first + stride, ... and the taps r0, r0 + step, ... they meet
  int first, count, tap, taps, ahead, back;  // input i and tap j meet output i + ahead - j * back

  __device__ Phase(int phase, int size, int kernel, int stride, int dilation, int pad, int step) {
    first = ((phase - pad) % stride + stride) % stride;
    count = first < size ? (size - first - 1) / stride + 1 : 0;
    tap = first_tap(first + pad, kernel, stride, dilation, step);
    taps = (kernel - tap + step - 1) / step;
    ahead = tap < kernel ? (first + pad - tap * dilation) / stride : 0, back = step * dilation / stride;
  }
};

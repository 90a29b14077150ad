// A band of an image in shared memory: what convolutions with few channels compute a tile of outputs from.
//
// The tile is `rows` x `columns` outputs of one image; the band, all pixels that they see, padding as zeros, as Acc. A
// pixel takes `pitch` numbers: its channels, and what keeps neighbouring pixels in different banks.
#pragma once
#include "tile.cuh"
#include "window.cuh"

// down x across: tiles of an image. groups: of 8 channels that a block has; quads: of 4 terms of a weight gradient.
struct Tiling {
  int rows, columns, down, across, pitch, groups, quads;
};

// Numbers in shared memory: of a band, and of what is brought beside it, 38 KB in all.
constexpr int BAND = 7168, BESIDE = 2560, PLACES = 320;

// An image as a pass reads it, and the results that it computes: of forward, x and y; of backward data, dy and dx.
struct Sight {
  int height, width, depth, rows, columns, outputs, stride_h, stride_w, top, left;

  static __device__ Sight forward(const Window& g) {
    return {g.H, g.W, g.C, g.P, g.Q, g.K, g.stride_h, g.stride_w, g.top, g.left};
  }
  static __device__ Sight backward(const Window& g) {  // of stride 1, or a phase
    return {g.P, g.Q, g.K, g.H, g.W, g.C, 1, 1, (g.R - 1) * g.dilation_h - g.top, (g.S - 1) * g.dilation_w - g.left};
  }
};

// One tile: where it stands, how much of it there is, and how large its band is.
struct Spot {
  int n, row, column, rows, columns, height, width;
  __device__ Spot(int i, const Sight& sight, const Window& g, const Tiling& t) {
    column = i % t.across * t.columns, i /= t.across;
    row = i % t.down * t.rows, n = i / t.down;
    rows = min(t.rows, sight.rows - row), columns = min(t.columns, sight.columns - column);
    height = (rows - 1) * sight.stride_h + (g.R - 1) * g.dilation_h + 1;
    width = (columns - 1) * sight.stride_w + (g.S - 1) * g.dilation_w + 1;
  }
  // Where the m-th output's first pixel stands in the band.
  __device__ int place(int m, const Sight& sight, const Tiling& t) const {
    return (m / columns * sight.stride_h * width + m % columns * sight.stride_w) * t.pitch;
  }
};

// Brings a band, EACH numbers of a pixel at a time.
template <int EACH>
static __device__ void bring_band(Acc* band, const T* image, const Spot& spot, const Sight& sight, const Tiling& t) {
  const int shares = sight.depth / EACH, count = spot.height * spot.width * shares;
  const int h0 = spot.row * sight.stride_h - sight.top, w0 = spot.column * sight.stride_w - sight.left;
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    const int share = i % shares, pixel = i / shares, h = h0 + pixel / spot.width, w = w0 + pixel % spot.width;
    Vector<T, EACH> found = {};
    if (h >= 0 && h < sight.height && w >= 0 && w < sight.width)
      found = *reinterpret_cast<const Vector<T, EACH>*>(
          image + ((spot.n * sight.height + h) * sight.width + w) * sight.depth + share * EACH);
#pragma unroll
    for (int e = 0; e < EACH; ++e) band[pixel * t.pitch + share * EACH + e] = Acc(found.of[e]);
  }
}

static __device__ inline void bring_band(Acc* band, const T* image, const Spot& spot, const Sight& sight,
                                         const Tiling& t) {
  if (sight.depth % 4 == 0 && aligned<Vector<T, 4>>(image)) bring_band<4>(band, image, spot, sight, t);
  else bring_band<1>(band, image, spot, sight, t);
}

// The terms of the sum that a result's channel n is, one a weight: where the weight of term k stands in w or dw, and
// where in the band the term's other factor does, seen from the result's first pixel. pixel: where the result stands.
struct ForwardTerms {
  static constexpr bool TERMS_ARE_NEIGHBOURS = true;
  const Window& g;

  __device__ int pixel(int n, int row, int column) const { return (n * g.P + row) * g.Q + column; }
  __device__ int weight(int n, int k) const { return n * g.R * g.S * g.C + k; }
  __device__ int place(int k, const Spot& spot, const Tiling& t) const {
    const Counter tap(k, g.S, g.C);
    return (tap.high * g.dilation_h * spot.width + tap.middle * g.dilation_w) * t.pitch + tap.low;
  }
};

struct BackwardTerms {  // r and s from the end
  static constexpr bool TERMS_ARE_NEIGHBOURS = false;
  const Window& g;

  __device__ int pixel(int n, int row, int column) const { return (n * g.H + row) * g.W + column; }
  __device__ int weight(int n, int k) const { return (k % g.K * g.R * g.S + k / g.K) * g.C + n; }
  __device__ int place(int k, const Spot& spot, const Tiling& t) const {
    const Counter tap(k, g.S, g.K);
    const int r = g.R - 1 - tap.high, s = g.S - 1 - tap.middle;
    return (r * g.dilation_h * spot.width + s * g.dilation_w) * t.pitch + tap.low;
  }
};

// A phase of a strided gradient is the gradient of a convolution of stride 1, whose kernel has the taps that are met.
static __device__ inline Window window_of_phase(const Window& g, const Phase& down, const Phase& across) {
  Window of = g;
  of.H = down.count, of.R = down.taps, of.top = down.ahead, of.dilation_h = down.back;
  of.W = across.count, of.S = across.taps, of.left = across.ahead, of.dilation_w = across.back;
  return of;
}

struct PhaseTerms : BackwardTerms {
  const Window& whole;
  const Phase &down, &across;

  __device__ int pixel(int n, int row, int column) const {
    return (n * whole.H + down.first + row * whole.stride_h) * whole.W + across.first + column * whole.stride_w;
  }
  __device__ int weight(int n, int k) const {
    const Counter tap(k, across.taps, whole.K);
    const int r = down.tap + tap.high * whole.step_h, s = across.tap + tap.middle * whole.step_w;
    return ((tap.low * whole.R + r) * whole.S + s) * whole.C + n;
  }
};

// N neighbouring numbers of shared memory, N = 1 or a multiple of 4: 16 bytes at a time.
template <int N>
static __device__ void take_row(Acc (&to)[N], const Acc* from) {
  if constexpr (N % 4 == 0) {
#pragma unroll
    for (int i = 0; i < N; i += 4) {
      const Four four = *reinterpret_cast<const Four*>(from + i);
#pragma unroll
      for (int e = 0; e < 4; ++e) to[i + e] = four.of[e];
    }
  } else {
    to[0] = *from;
  }
}

// compiled for: float32 float16 bfloat16
// Convolution with few channels from bands of images in shared memory (groups = 1; equations as in conv2d.cu).
//
//   forward           y[m,k] = sum over r,s,c of  band of  x[m,r,s,c] w[k,r,s,c]         any stride and dilation
//   backward data    dx[m,c] = sum over r,s,k of  band of dy[m,r,s,k] w[k,r,s,c]         stride 1; r, s from the end
//
// A block computes a tile of outputs of one image, all channels of them or 64: it brings the band that the tile sees
// (band.cuh), then walks along the sum with the weights of one stretch of it after the other in shared memory, beside
// where each term stands in the band. A thread has 8 channels of PIXELS outputs. A tile of 64 columns of
// conv2d_tiled.cu is three quarters empty where there are 16 channels; here nothing is but the last 8. An element of
// x passes the index arithmetic once, not once a tap.
//
// Sums are taken in the order of conv2d.cu and conv2d_tiled.cu, and have their bits.
//
// Memory: x is read once and its tiles' edges again, y written once, w read once a tile, from the cache. Of shared
// memory, 8 + PIXELS numbers for 8 * PIXELS multiplications, four at a time where there are so many channels.
//
// Versions: conv2d_tiled.cu, tiles across images; this file, bands.
#include "band.cuh"

#define BAND_THREADS 128

// The weights of the forward pass: term k of output n; and where the term stands in the band.
struct ForwardWeights {
  const T* w;
  const Window& g;
  const Spot& spot;
  const Tiling& t;

  static constexpr bool TERMS_ARE_NEIGHBOURS = true;
  __device__ Acc weight(int n, int k) const { return Acc(w[n * g.R * g.S * g.C + k]); }
  __device__ int place(int k) const {
    const Counter tap(k, g.S, g.C);
    return (tap.high * g.dilation_h * spot.width + tap.middle * g.dilation_w) * t.pitch + tap.low;
  }
};

struct BackwardWeights {
  const T* w;
  const Window& g;
  const Spot& spot;
  const Tiling& t;

  static constexpr bool TERMS_ARE_NEIGHBOURS = false;
  __device__ Acc weight(int n, int k) const {
    const int tap = k / g.K, output = k % g.K;
    return Acc(w[(output * g.R * g.S + tap) * g.C + n]);
  }
  __device__ int place(int k) const {
    const Counter tap(k, g.S, g.K);
    const int r = g.R - 1 - tap.high, s = g.S - 1 - tap.middle;
    return (r * g.dilation_h * spot.width + s * g.dilation_w) * t.pitch + tap.low;
  }
};

// Brings the weights of terms first .. first + count - 1 of the sum, 8 * groups of them a row; zeros beyond the last
// output.
template <class Weights>
static __device__ void bring_weights(Acc* to, int* places, const Weights& from, int first, int count, int n0,
                                     int outputs, int columns, int pitch) {
  for (int i = threadIdx.x; i < count * columns; i += blockDim.x) {
    const int k = Weights::TERMS_ARE_NEIGHBOURS ? i % count : i / columns;
    const int n = Weights::TERMS_ARE_NEIGHBOURS ? i / count : i % columns;
    to[k * pitch + n] = n0 + n < outputs ? from.weight(n0 + n, first + k) : Acc(0);
  }
  for (int k = threadIdx.x; k < count; k += blockDim.x) places[k] = from.place(first + k);
}

// Adds `count` terms, STEP neighbours of the band at a time.
template <int PIXELS, int STEP>
static __device__ void add_terms(Acc (&sums)[PIXELS][8], const Acc* band, const int (&at)[PIXELS], const Acc* weights,
                                 const int* places, int count, int pitch) {
  for (int k = 0; k < count; k += STEP) {
    const Acc* from = band + places[k];
    Acc seen[PIXELS][STEP];
#pragma unroll
    for (int i = 0; i < PIXELS; ++i) take(seen[i], from + at[i]);
#pragma unroll
    for (int e = 0; e < STEP; ++e) {
      Acc weight[8];
      take(weight, weights + (k + e) * pitch);
#pragma unroll
      for (int i = 0; i < PIXELS; ++i)
#pragma unroll
        for (int n = 0; n < 8; ++n) sums[i][n] += seen[i][e] * weight[n];
    }
  }
}

// Writes 8 channels of an output, of which `exist` do.
static __device__ inline void write_eight(T* to, const Acc (&sums)[8], const T* bias, int exist) {
  const bool whole = aligned<Vector<T, 4>>(to);
#pragma unroll
  for (int n = 0; n < 8; n += 4) {
    Vector<T, 4> four;
#pragma unroll
    for (int e = 0; e < 4; ++e) four.of[e] = T(sums[n + e] + (bias && n + e < exist ? Acc(bias[n + e]) : Acc(0)));
    if (whole && n + 3 < exist) {
      *reinterpret_cast<Vector<T, 4>*>(to + n) = four;
    } else {
#pragma unroll
      for (int e = 0; e < 4; ++e)
        if (n + e < exist) to[n + e] = four.of[e];
    }
  }
}

template <int PIXELS, class Weights>
static __device__ void band_product(const T* image, const T* w, const T* b, T* out, const Window& g, const Sight& sight,
                                    const Tiling& t) {
  __shared__ __align__(16) Acc band[BAND], weights[BESIDE];
  __shared__ int places[PLACES];
  const Spot spot(blockIdx.x, sight, g, t);
  const int group = threadIdx.x % t.groups, first = threadIdx.x / t.groups, apart = blockDim.x / t.groups;
  const int n0 = blockIdx.y * t.groups * 8, count = spot.rows * spot.columns, length = g.R * g.S * sight.depth;
  const int columns = t.groups * 8, pitch = columns + 4, stretch = min(BESIDE / pitch, PLACES) / 4 * 4;
  const Weights from = {w, g, spot, t};
  int at[PIXELS];
#pragma unroll
  for (int i = 0; i < PIXELS; ++i) {
    const int m = first + i * apart;
    at[i] = first < apart && m < count ? spot.place(m, sight, t) : 0;
  }
  bring_band(band, image, spot, sight, t);
  Acc sums[PIXELS][8] = {};
  for (int k = 0; k < length; k += stretch) {
    const int terms = min(stretch, length - k);
    if (k > 0) __syncthreads();
    bring_weights(weights, places, from, k, terms, n0, sight.outputs, columns, pitch);
    __syncthreads();
    const Acc* own = weights + group * 8;
    if (sight.depth % 4 == 0) add_terms<PIXELS, 4>(sums, band, at, own, places, terms, pitch);
    else add_terms<PIXELS, 1>(sums, band, at, own, places, terms, pitch);
  }
  const int n = n0 + group * 8;
#pragma unroll
  for (int i = 0; i < PIXELS; ++i) {
    const int m = first + i * apart;
    if (first >= apart || m >= count) continue;
    const int row = spot.row + m / spot.columns, column = spot.column + m % spot.columns;
    T* to = out + ((spot.n * sight.rows + row) * sight.columns + column) * sight.outputs + n;
    write_eight(to, sums[i], b ? b + n : b, sight.outputs - n);
  }
}

extern "C" __global__ void __launch_bounds__(BAND_THREADS, 3)
band_forward_4(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
               T* __restrict__ y, Window g, Tiling t) {
  band_product<4, ForwardWeights>(x, w, b, y, g, Sight::forward(g), t);
}

extern "C" __global__ void __launch_bounds__(BAND_THREADS, 3)
band_forward_8(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
               T* __restrict__ y, Window g, Tiling t) {
  band_product<8, ForwardWeights>(x, w, b, y, g, Sight::forward(g), t);
}

extern "C" __global__ void __launch_bounds__(BAND_THREADS, 3)
band_backward_data_4(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx, Window g, Tiling t) {
  band_product<4, BackwardWeights>(dy, w, nullptr, dx, g, Sight::backward(g), t);
}

extern "C" __global__ void __launch_bounds__(BAND_THREADS, 3)
band_backward_data_8(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx, Window g, Tiling t) {
  band_product<8, BackwardWeights>(dy, w, nullptr, dx, g, Sight::backward(g), t);
}

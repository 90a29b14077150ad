// compiled for: float32 float16 bfloat16
// Convolution with few channels from bands of images in shared memory (groups = 1; equations as in conv2d.cu).
//
//   forward           y[m,k] = end(sum over r,s,c of  band of x[m,r,s,c] w[k,r,s,c])     any stride and dilation
//   backward data    dx[m,c] = sum over r,s,k of  band of dy[m,r,s,k] w[k,r,s,c]  + z[m,c], if there; r, s from the end
//
// With a stride, backward data is computed phase by phase (blockIdx.z), each with the taps that it meets.
//
// A block computes a tile of outputs of one image, all channels of them or 64: it brings the band that the tile sees
// (band.cuh), then walks along the sum with the weights of one stretch of it after the other in shared memory, beside
// where each term stands in the band. A thread has 8 channels of PIXELS outputs. A tile of 64 columns of
// conv2d_tiled.cu is three quarters empty where there are 16 channels; here nothing is but the last 8. An element of
// x passes the index arithmetic once, not once a tap.
//
// Sums are taken in the order of conv2d.cu and conv2d_tiled.cu, and have their bits. Moments of what is written, for a
// batch norm, are a part of all for each tile, where these are equal.
//
// Memory: x is read once and its tiles' edges again, y written once, w read once a tile, from the cache. Of shared
// memory, 8 + PIXELS numbers for 8 * PIXELS multiplications, four at a time where there are so many channels.
//
// Versions: conv2d_tiled.cu, tiles across images; this file, bands.
#include "band_product.cuh"
#include "epilogue.cuh"

#define BAND_THREADS 128

template <int PIXELS, class Terms, class End, class Of = NoMoments>
static __device__ void band_tile(const T* image, const T* w, const T* b, T* out, const Terms& terms,
                                 const Sight& sight, const Tiling& t, const End& end, const Of& moments = {},
                                 const T* z = nullptr) {
  __shared__ __align__(16) Acc band[BAND], weights[BESIDE];
  __shared__ int places[PLACES];
  const Spot spot(blockIdx.x, sight, terms.g, t);
  if (spot.rows <= 0 || spot.columns <= 0) return;  // the whole block: the grid is that of the largest phase
  if (terms.g.R > 0 && terms.g.S > 0) bring_band(band, image, spot, sight, t);
  const int n0 = blockIdx.y * t.groups * 8;
  multiply_band<PIXELS>({band, weights, places}, w, b, out, terms, spot, sight, t, n0, end, moments, z);
}

extern "C" __global__ void __launch_bounds__(BAND_THREADS, 3)
band_forward_4(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
               T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
               const Acc* __restrict__ scale /* or null */, const Acc* __restrict__ shift /* or null */, int function,
               Acc a, Acc* __restrict__ means /* or null */, Acc* __restrict__ squares /* or null */, Tiling t) {
  band_tile<4>(x, w, b, y, ForwardTerms{g}, Sight::forward(g), t, Ending{z, scale, shift, function, a},
               BandMoments{{means, squares}});
}

extern "C" __global__ void __launch_bounds__(BAND_THREADS, 3)
band_forward_8(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
               T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
               const Acc* __restrict__ scale /* or null */, const Acc* __restrict__ shift /* or null */, int function,
               Acc a, Acc* __restrict__ means /* or null */, Acc* __restrict__ squares /* or null */, Tiling t) {
  band_tile<8>(x, w, b, y, ForwardTerms{g}, Sight::forward(g), t, Ending{z, scale, shift, function, a},
               BandMoments{{means, squares}});
}

extern "C" __global__ void __launch_bounds__(BAND_THREADS, 3)
band_backward_data_4(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                     T* __restrict__ dx, Window g, Tiling t) {
  band_tile<4>(dy, w, static_cast<const T*>(nullptr), dx, BackwardTerms{g}, Sight::backward(g), t,
               Endless{}, NoMoments{}, z);
}

extern "C" __global__ void __launch_bounds__(BAND_THREADS, 3)
band_backward_data_strided_4(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                             T* __restrict__ dx, Window g, Tiling t) {
  const int phase = blockIdx.z;
  const Phase down(phase / g.stride_w, g.H, g.R, g.stride_h, g.dilation_h, g.top, g.step_h);
  const Phase across(phase % g.stride_w, g.W, g.S, g.stride_w, g.dilation_w, g.left, g.step_w);
  const Window own = window_of_phase(g, down, across);
  band_tile<4>(dy, w, static_cast<const T*>(nullptr), dx, PhaseTerms{{own}, g, down, across}, Sight::backward(own), t,
               Endless{}, NoMoments{}, z);
}

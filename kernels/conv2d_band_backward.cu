// compiled for: float32 float16 bfloat16
// Both gradients of a convolution of few channels at once: stride 1, groups = 1.
//
//   dx[m,c]   = sum over r,s,k of  band of dy[m,r,s,k] w[k,r,s,c]  + z[m,c] if it is there      r, s from the end
//   dw[k,j,c] = sum over the inputs m of a piece's tiles of  x[m,c] band of dy[m,j,k]        j = r, s
//
// A block takes one tile of inputs after the other of its piece (blockIdx.y). It brings the band of dy that the tile
// meets once, computes dx from it as conv2d_band.cu does, and adds to the sums of dw as conv2d_band_weight.cu does, but
// with the parts of x and dy exchanged: the band is dy's, and a thread has 8 channels and 4 pairs of tap and kernel. A
// thread has 8 channels of 2 inputs of dx.
//
// The bits of dx are those of conv2d.cu; dw is summed by tiles of inputs.
//
// Memory: dy is read once, its tiles' edges again, x once, dx written once: a third of what both kernels read less.
//
// Versions: conv2d_band.cu and conv2d_band_weight.cu, one after the other; this file, together.
#include "band_sums.cuh"

#define BOTH_THREADS 288

extern "C" __global__ void __launch_bounds__(BOTH_THREADS, 2)
band_backward(const T* __restrict__ x, const T* __restrict__ dy, const T* __restrict__ w,
              const T* __restrict__ z /* or null */, T* __restrict__ dx, Acc* __restrict__ parts, Window g, Tiling t) {
  __shared__ __align__(16) Acc band[BAND], beside[BESIDE];
  __shared__ int places[PLACES];
  const BandMemory memory = {band, beside, places};
  const Sight sight = Sight::backward(g);
  const BackwardTerms terms = {g};
  BandSums<BackwardTerms> sums(terms, sight, t, 0);
  const Part part(g.N * t.down * t.across);
  for (int item = part.begin; item < part.end; ++item) {
    const Spot spot(item, sight, g, t);
    __syncthreads();
    bring_band(band, dy, spot, sight, t);
    multiply_band<2>(memory, w, static_cast<const T*>(nullptr), dx, terms, spot, sight, t, 0, Endless{}, NoMoments{},
                     z);
    __syncthreads();
    sums.add(memory, x, spot);
  }
  sums.write(memory, parts + blockIdx.y * g.K * g.R * g.S * g.C);
}

// compiled for: float32 float16 bfloat16
// The gradient of kernels from bands of images in shared memory: conv2d_band.cu's third pass (groups = 1).
//
//   dw[k,j] = sum over the outputs m of a piece's tiles of  dy[m,k] band of x[m,j]           j = r, s, channel
//
// A block takes one tile after the other of its piece (blockIdx.y): it brings the band that the tile sees (band.cuh),
// then dy of some outputs at a time. A thread has 8 kernels and 4 terms j of them, neighbours where there are so many
// channels, and every `lanes`-th output; the lanes are added in order in the end, the pieces by add_parts (sums.cu).
// blockIdx.x counts the chunks of kernels that a block has, and, within each, of terms.
//
// A tile of 64 x 64 of conv2d_tiled.cu is three quarters empty where there are 16 kernels, and passes the index
// arithmetic for every tap of an element; this does so once.
//
// Sums are those of conv2d_tiled.cu, cut into other pieces: by tiles, not by positions.
//
// Memory: x and dy are read once, x's tiles' edges again, for each chunk. Of shared memory, 12 numbers for 32
// multiplications, four at a time; one at a time of x where there are 1 or 3 channels.
//
// Versions: conv2d_tiled.cu, tiles across images; this file, bands.
#include "band_sums.cuh"

#define WEIGHT_THREADS 320

extern "C" __global__ void __launch_bounds__(WEIGHT_THREADS, 2)
band_backward_weight(const T* __restrict__ x, const T* __restrict__ dy, Acc* __restrict__ parts, Window g, Tiling t) {
  __shared__ __align__(16) Acc band[BAND], beside[BESIDE];
  __shared__ int places[PLACES];
  const BandMemory memory = {band, beside, places};
  const Sight sight = Sight::forward(g);
  const ForwardTerms terms = {g};
  BandSums<ForwardTerms> sums(terms, sight, t, blockIdx.x);
  const Part part(g.N * t.down * t.across);
  for (int item = part.begin; item < part.end; ++item) {
    const Spot spot(item, sight, g, t);
    __syncthreads();
    bring_band(band, x, spot, sight, t);
    sums.add(memory, dy, spot);
  }
  sums.write(memory, parts + blockIdx.y * g.K * g.R * g.S * g.C);
}

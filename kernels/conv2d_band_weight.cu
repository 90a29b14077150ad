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
#include "band.cuh"

#define WEIGHT_THREADS 320

template <bool NEIGHBOURS>
static __device__ void add_outputs(Acc (&sums)[4][8], const Acc* band, const int (&at)[4], const Acc* dy,
                                   const int* places, int first, int count, int by, int pitch) {
  for (int m = first; m < count; m += by) {
    const Acc* from = band + places[m];
    Acc seen[4], gradients[8];
    if constexpr (NEIGHBOURS) {
      take(seen, from + at[0]);
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) seen[i] = from[at[i]];
    }
    take(gradients, dy + m * pitch);
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int n = 0; n < 8; ++n) sums[i][n] += seen[i] * gradients[n];
  }
}

extern "C" __global__ void __launch_bounds__(WEIGHT_THREADS, 2)
band_backward_weight(const T* __restrict__ x, const T* __restrict__ dy, Acc* __restrict__ parts, Window g, Tiling t) {
  __shared__ __align__(16) Acc band[BAND], gradients[BESIDE];
  __shared__ int places[PLACES];
  const Sight sight = Sight::forward(g);
  const bool neighbours = g.C % 4 == 0;
  const int length = g.R * g.S * g.C, columns = t.groups * 8;
  const int quads = (length - 1) / 4 + 1, chunks = (quads - 1) / t.quads + 1;  // of terms, 4 a thread
  const int n0 = blockIdx.x / chunks * columns, j0 = blockIdx.x % chunks * t.quads;
  const int team = t.groups * t.quads, lanes = blockDim.x / team;
  const int group = threadIdx.x % t.groups, quad = threadIdx.x / t.groups % t.quads, lane = threadIdx.x / team;
  int terms[4], at[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    terms[i] = neighbours ? (j0 + quad) * 4 + i : (j0 + quad) + i * quads;
    const bool exists = lane < lanes && j0 + quad < quads && terms[i] < length;
    if (!exists) terms[i] = -1;
  }
  const Part part(g.N * t.down * t.across);
  Acc sums[4][8] = {};
  for (int item = part.begin; item < part.end; ++item) {
    const Spot spot(item, sight, g, t);
    const int count = spot.rows * spot.columns, stretch = min(BESIDE / columns, PLACES);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const Counter tap(max(terms[i], 0), g.S, g.C);
      at[i] = (tap.high * g.dilation_h * spot.width + tap.middle * g.dilation_w) * t.pitch + tap.low;
    }
    __syncthreads();
    bring_band(band, x, spot, sight, t);
    for (int m = 0; m < count; m += stretch) {
      const int outputs = min(stretch, count - m);
      if (m > 0) __syncthreads();
      for (int i = threadIdx.x; i < outputs * columns; i += blockDim.x) {
        const int n = n0 + i % columns, output = m + i / columns;
        const int p = spot.row + output / spot.columns, q = spot.column + output % spot.columns;
        gradients[i] = n < g.K ? Acc(dy[((spot.n * g.P + p) * g.Q + q) * g.K + n]) : Acc(0);
      }
      for (int i = threadIdx.x; i < outputs; i += blockDim.x) places[i] = spot.place(m + i, sight, t);
      __syncthreads();
      if (lane >= lanes) continue;
      const Acc* own = gradients + group * 8;
      if (neighbours) add_outputs<true>(sums, band, at, own, places, lane, outputs, lanes, columns);
      else add_outputs<false>(sums, band, at, own, places, lane, outputs, lanes, columns);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {  // the lanes' sums of one term
    __syncthreads();
#pragma unroll
    for (int n = 0; n < 8; ++n) band[threadIdx.x * 8 + n] = sums[i][n];
    __syncthreads();
    for (int e = threadIdx.x; e < team * 8; e += blockDim.x) {
      const int owner = e / 8, n = n0 + owner % t.groups * 8 + e % 8, own = j0 + owner / t.groups;
      const int term = neighbours ? own * 4 + i : own + i * quads;
      if (n >= g.K || own >= quads || term >= length) continue;
      Acc sum = band[e];
      for (int l = 1; l < lanes; ++l) sum += band[l * team * 8 + e];
      parts[(blockIdx.y * g.K + n) * length + term] = sum;
    }
  }
}

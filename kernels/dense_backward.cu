// All gradients of a dense layer with few outputs at once, y = f(x w^T + b): x (N, C), w (K, C), y (N, K).
//
//        g[n,k] = dy[n,k] f'                         f' from y; g is dy where no activation is the layer's
//       dx[n,c] = sum over k of  g[n,k] w[k,c]       k ascending, as in conv2d.cu
//   parts[k,c]  = sum over n of  g[n,k] x[n,c]       dw, and
//   biases[k]   = sum over n of  g[n,k]              db: n ascending, over the images of part blockIdx.y
//
// A block has 32 columns c and a part of the images, which it takes by tiles of 32: g and x of a tile and the columns'
// w stand in shared memory. A warp's threads have a column each. Of dx a thread computes 4 images of a tile; of dw it
// has up to 4 times 4 neighbouring k, whose sums stay in registers over all tiles. Of db, each of the first threads of
// the first blocks has one k.
//
// Memory: x and w are read and dx is written once; dy, and y, once for every 32 columns, mostly from the cache.
//
// Versions: the kernels of dense layers' three products, one after the other (conv2d_pointwise.cu, conv2d_mma*.cu), and
// sums.cu; this file, together.
#include "activation.cuh"
#include "columns.cuh"
#include "vector.cuh"

constexpr int OUTPUTS = sizeof(Acc) == 8 ? 64 : 128;  // K at most
constexpr int IMAGES = 32;                            // of a tile
constexpr int FOURS = OUTPUTS / 4 / LANES;            // of neighbouring k, that a thread has of dw

// The slope of an activation by its output y, where that tells it: of others nobody asks. As a polynomial, which takes
// far less of a kernel than `slope`.
struct SlopeByOutput {
  Acc p, q, r;
  bool kinked;  // at 0, and 1 beyond it
  __device__ SlopeByOutput(int function, Acc a) : p(0), q(0), r(0), kinked(false) {
    switch (function) {
      case RELU: kinked = true; break;
      case LEAKY_RELU: kinked = true, p = a; break;
      case ELU: kinked = true, p = a, q = 1; break;
      case SIGMOID: q = 1, r = -1; break;
      case TANH: p = 1, r = -1; break;
      case SCALED_TANH: p = TANH_A * TANH_B, r = -TANH_B / TANH_A; break;
      default: p = 1;
    }
  }
  __device__ Acc operator()(Acc y) const { return kinked && y > 0 ? Acc(1) : p + y * (q + r * y); }
};

extern "C" __global__ void __launch_bounds__(THREADS, 2)
dense_backward(const T* __restrict__ x, const T* __restrict__ dy, const T* __restrict__ y /* or null */,
               const T* __restrict__ w, T* __restrict__ dx, Acc* __restrict__ parts,
               Acc* __restrict__ biases /* or null */, int N, int C, int K, int function, Acc a) {
  __shared__ __align__(16) Acc of_g[IMAGES][OUTPUTS], of_x[IMAGES][COLUMNS], of_w[OUTPUTS][COLUMNS];
  const int column = threadIdx.x % COLUMNS, lane = threadIdx.x / COLUMNS, c = blockIdx.x * COLUMNS + column;
  const int filled = (K + 3) / 4 * 4;  // zeros stand up to there
  const bool sums_bias = biases && blockIdx.x == 0 && threadIdx.x < K;
  const SlopeByOutput slope(function, a);
  const Part part(N);
  Acc sums[FOURS][4] = {}, bias = 0;
  for (int k = lane; k < filled; k += LANES) of_w[k][column] = k < K && c < C ? Acc(w[k * C + c]) : Acc(0);

  for (int tile = part.begin; tile < part.end; tile += IMAGES) {
    const int images = min(IMAGES, part.end - tile);
#pragma unroll
    for (int j = 0; j < IMAGES / LANES; ++j) {
      const int i = lane + j * LANES, n = tile + i;
#pragma unroll 1
      for (int k = column; k < filled; k += COLUMNS) {
        const bool exists = i < images && k < K;
        const Acc g = exists ? Acc(dy[n * K + k]) : Acc(0);
        of_g[i][k] = exists && y ? g * slope(Acc(y[n * K + k])) : g;
      }
      of_x[i][column] = i < images && c < C ? Acc(x[n * C + c]) : Acc(0);
    }
    __syncthreads();

    Acc found[IMAGES / LANES] = {};
#pragma unroll 2
    for (int k = 0; k < filled; k += 4) {
#pragma unroll
      for (int j = 0; j < IMAGES / LANES; ++j) {
        const Four g = *reinterpret_cast<const Four*>(&of_g[lane + j * LANES][k]);
#pragma unroll
        for (int l = 0; l < 4; ++l) found[j] += g.of[l] * of_w[k + l][column];
      }
    }
#pragma unroll
    for (int j = 0; j < IMAGES / LANES; ++j) {
      const int i = lane + j * LANES;
      if (i < images && c < C) dx[(tile + i) * C + c] = T(found[j]);
    }
    for (int i = 0; i < images; ++i) {
      const Acc met = of_x[i][column];
#pragma unroll
      for (int j = 0; j < FOURS; ++j) {
        const int k = 4 * (lane + j * LANES);
        if (k >= K) break;
        const Four g = *reinterpret_cast<const Four*>(&of_g[i][k]);
#pragma unroll
        for (int l = 0; l < 4; ++l) sums[j][l] += g.of[l] * met;
      }
    }
    if (sums_bias)
      for (int i = 0; i < images; ++i) bias += of_g[i][threadIdx.x];
    __syncthreads();
  }

#pragma unroll
  for (int j = 0; j < FOURS; ++j) {
#pragma unroll
    for (int l = 0; l < 4; ++l) {
      const int k = 4 * (lane + j * LANES) + l;
      if (k < K && c < C) parts[(blockIdx.y * K + k) * C + c] = sums[j][l];
    }
  }
  if (sums_bias) biases[blockIdx.y * K + threadIdx.x] = bias;
}

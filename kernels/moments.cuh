// Means and sums of squared deviations of columns, for batch normalisation: by Welford's recurrence and Chan's
// formula. Neither takes a difference of large sums, as E[x^2] - E[x]^2 would.
//
// Sources: as in batch_norm.cu, which takes them of an array. Here they are also taken of the tile that a product has
// just computed: of its elements as they are stored, so that nobody has to read those again.
#pragma once
#include "vector.cuh"
#include "warp.cuh"

template <int N>
struct Moments {  // of some rows of N channels: how many, their means, and the sums of squared deviations from them
  Acc count, mean[N], square[N];
  __device__ void take(const Vector<T, N>& values) {
    count += 1;
    const Acc share = Acc(1) / count;
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const Acc value = values.of[i], before = value - mean[i];
      mean[i] += before * share;
      square[i] += before * (value - mean[i]);
    }
  }
  __device__ void merge(const Moments& other) {
    if (other.count == 0) return;
    const Acc share = other.count / (count + other.count), both = count * share;
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const Acc apart = other.mean[i] - mean[i];
      mean[i] += apart * share;
      square[i] += other.square[i] + apart * apart * both;
    }
    count += other.count;
  }
  // What the lane that is `apart` from this one has; all lanes of the warp must call.
  __device__ Moments across(int apart) const {
    Moments other;
    other.count = __shfl_xor_sync(ALL_LANES, count, apart);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      other.mean[i] = __shfl_xor_sync(ALL_LANES, mean[i], apart);
      other.square[i] = __shfl_xor_sync(ALL_LANES, square[i], apart);
    }
    return other;
  }
};

struct Parts {  // where the moments of parts of the rows are written, (parts, K) each; null where nobody asks
  Acc *means, *squares;
};

// The moments of the columns of a block's tile, WIDTH of them, which is one part of the rows: a product hands over what
// it writes, and what it has in shared memory once it is done. A thread has COUNT times N neighbouring columns of some
// rows, 64 columns apart; ACROSS neighbouring lanes have different ones, the next ACROSS of a warp the same again, and
// so have WARPS warps. What they have found is put together in an order that the tile alone decides.
template <int N, int COUNT, int ACROSS, int WARPS, int WIDTH>
struct BlockMoments {
  Acc *means, *squares;
  int columns, column, warp;  // columns that exist; the thread's first; which one its warp is of those with the same
  Moments<N> found[COUNT];

  // at: where the tile's first column stands in the parts.
  __device__ BlockMoments(const Parts& parts, int at, int columns, int column, int warp)
      : means(parts.means ? parts.means + at : nullptr), squares(parts.squares ? parts.squares + at : nullptr),
        columns(min(columns, WIDTH)), column(column), warp(warp), found{} {}

  template <class Values>
  __device__ void take(int i, const Values& values) {
    if (means) found[i].take(values);
  }

  // memory: for WARPS * WIDTH Moments<1>.
  __device__ void write(void* memory) {
    if (!means) return;
    Moments<1>* const held = static_cast<Moments<1>*>(memory);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
#pragma unroll
      for (int apart = ACROSS; apart < WARP; apart *= 2) found[i].merge(found[i].across(apart));
#pragma unroll
      for (int e = 0; e < N && lane() < ACROSS; ++e)
        held[warp * WIDTH + column + i * 64 + e] = {found[i].count, {found[i].mean[e]}, {found[i].square[e]}};
    }
    __syncthreads();
    const int n = threadIdx.x;
    if (n >= columns) return;
    Moments<1> all = held[n];
    for (int i = 1; i < WARPS; ++i) all.merge(held[i * WIDTH + n]);
    means[n] = all.mean[0], squares[n] = all.square[0];
  }
};

struct NoMoments {  // in their place, where nobody ever asks
  template <class Values>
  __device__ void take(int, const Values&) {}
  template <class... Where>
  __device__ void write(Where...) {}
};

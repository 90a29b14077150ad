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
  // Takes one more row: its share of all of them, and what it has in channel i.
  __device__ Acc next() { return Acc(1) / (count += 1); }
  __device__ void take(int i, Acc value, Acc share) {
    const Acc before = value - mean[i];
    mean[i] += before * share;
    square[i] += before * (value - mean[i]);
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
  Parts parts;
  int at, columns;  // where the tile's first column stands in the parts, and how many from there on exist
  Moments<N * COUNT> found;
  Acc share;  // of the row under way

  // The i-th N columns of a row, which begins with those where i is 0.
  __device__ void take(int i, const Vector<T, N>& values) {
    if (!parts.means) return;
    if (i == 0) share = found.next();
#pragma unroll
    for (int e = 0; e < N; ++e) found.take(i * N + e, values.of[e], share);
  }

  // column: this thread's first. warp: which of those with the same columns. memory: for two numbers of each of WARPS *
  // WIDTH columns, and one of each of WARPS.
  __device__ void write(void* memory, int column, int warp) {
    if (!parts.means) return;
    Acc *const means = static_cast<Acc*>(memory), *const squares = means + WARPS * WIDTH;
    Acc* const counts = squares + WARPS * WIDTH;
    __syncthreads();
#pragma unroll
    for (int apart = ACROSS; apart < WARP; apart *= 2) found.merge(found.across(apart));
#pragma unroll
    for (int i = 0; i < N * COUNT && lane() < ACROSS; ++i) {
      const int place = warp * WIDTH + column + i / N * 64 + i % N;
      means[place] = found.mean[i], squares[place] = found.square[i];
    }
    if (lane() == 0 && column == 0) counts[warp] = found.count;
    __syncthreads();
    const int n = threadIdx.x;
    if (n >= min(columns, WIDTH)) return;
    Moments<1> all = {};
    for (int i = 0; i < WARPS; ++i) all.merge({counts[i], {means[i * WIDTH + n]}, {squares[i * WIDTH + n]}});
    parts.means[at + n] = all.mean[0], parts.squares[at + n] = all.square[0];
  }
};

struct NoMoments {  // in their place, where nobody ever asks
  template <class Values>
  __device__ void take(int, const Values&) {}
  template <class... Where>
  __device__ void write(Where...) {}
};

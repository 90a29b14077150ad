// The product of two matrices by tiles in shared memory: out[m,n] = sum over k of  A[m,k] B[n,k], k from 0 to length-1.
//
// A block of 16 x 16 threads computes a tile of SIZE x SIZE elements, a thread SIDE x SIDE of them in registers. Of
// each step of DEPTH along k, the block brings a strip of A and one of B into shared memory, as Acc: a thread WIDTH
// elements of each, which are 16 bytes (of double 32). While it multiplies one strip, the next is on its way to the
// other of two buffers. One barrier a step: whoever writes a buffer does so after a barrier that all came to after they
// last read it. What goes into a strip as it is, and in its order, is copied there without a detour (ASYNC_COPIES);
// halves, which become Acc, and what has to be turned pass through registers.
//
// Where the elements of A and B stand is told by a loader each, so that a matrix need not exist in memory:
//
//   ALONG_K               whether a thread's elements are neighbours along k, or along the rows (m or n)
//   at(i)                 the address of the i-th element of this thread's, null where it is 0
//   whole()               whether all are aligned, and either in memory one after the other or all 0
//   advance(by)           goes on along k
#pragma once
#include "moments.cuh"

template <int SIDE>
struct Tile {
  static constexpr int SIZE = 16 * SIDE, DEPTH = 16 * WIDTH / SIDE;
  static constexpr int ROW = SIZE + 4;  // keeps fours aligned, columns apart

  // The row within the tile, and the k within a strip, of the first element that this thread brings.
  static __device__ int row(bool along_k) {
    return along_k ? threadIdx.x / (DEPTH / WIDTH) : threadIdx.x % (SIZE / WIDTH) * WIDTH;
  }
  static __device__ int k(bool along_k) {
    return along_k ? threadIdx.x % (DEPTH / WIDTH) * WIDTH : threadIdx.x / (SIZE / WIDTH);
  }

  // Where the j-th of a thread's SIDE rows (or columns) stands in the tile: by fours, 64 apart.
  static __device__ int place(int thread, int j) { return j / 4 * 64 + thread * 4 + j % 4; }
};

template <class Loader>
static __device__ Loaded fetch(const Loader& loader, bool whole) {
  Loaded found = {};
  if (whole) {
    const T* from = loader.at(0);
    if (from) found = *reinterpret_cast<const Loaded*>(from);
  } else {
    for (int i = 0; i < WIDTH; ++i) {
      const T* from = loader.at(i);
      if (from) found.of[i] = *from;
    }
  }
  return found;
}

// A strip: the elements of DEPTH consecutive k, each in a row of its own.
template <int SIDE>
using Strip = Acc[Tile<SIDE>::DEPTH][Tile<SIDE>::ROW];

template <int SIDE, class Loader>
static __device__ void put(Strip<SIDE>& strip, const Loaded& found) {
  const int row = Tile<SIDE>::row(Loader::ALONG_K), k = Tile<SIDE>::k(Loader::ALONG_K);
#pragma unroll
  for (int i = 0; i < WIDTH; i += 4) {
    const Four four = {{Acc(found.of[i]), Acc(found.of[i + 1]), Acc(found.of[i + 2]), Acc(found.of[i + 3])}};
    if (Loader::ALONG_K) {
#pragma unroll
      for (int j = 0; j < 4; ++j) strip[k + i + j][row] = four.of[j];
    } else {
      *reinterpret_cast<Four*>(&strip[k][row + i]) = four;
    }
  }
}

// One operand on its way into shared memory, strip by strip: `begin` sends for this thread's elements, `end` sees them
// in the strip.
template <int SIDE, class Loader>
struct Supply {
  static constexpr bool AS_IT_IS = ASYNC_COPIES && !Loader::ALONG_K && sizeof(T) == sizeof(Acc);
  Loader loader;
  const bool whole;
  Loaded held;

  __device__ explicit Supply(const Loader& loader) : loader(loader), whole(loader.whole()) {}

  __device__ void begin(Strip<SIDE>& strip) {
    if constexpr (AS_IT_IS) copy(strip[Tile<SIDE>::k(false)] + Tile<SIDE>::row(false));
    else held = fetch(loader, whole);
  }
  __device__ void end(Strip<SIDE>& strip) {
    if constexpr (AS_IT_IS) await_copies();
    else put<SIDE, Loader>(strip, held);
  }
  __device__ void copy(Acc* to) const {
    if (whole) {
      const T* from = loader.at(0);
      if (!from) *reinterpret_cast<Four*>(to) = {};
      for (int i = 0; from && i < 4; i += 16 / sizeof(T)) copy_async<16>(to + i, from + i);
    } else {
      for (int i = 0; i < 4; ++i) {
        const T* from = loader.at(i);
        if (from) copy_async<sizeof(T)>(to + i, from);
        else to[i] = 0;
      }
    }
  }
};

// Adds a strip's share to the sums of this thread's SIDE x SIDE elements. A large tile's loop is unrolled but twice:
// more would take registers that a second block on the same multiprocessor needs.
template <int SIDE>
static __device__ void multiply(const Strip<SIDE>& a, const Strip<SIDE>& b, Acc (&sums)[SIDE][SIDE]) {
  const int across = threadIdx.x % 16, down = threadIdx.x / 16;
#pragma unroll (SIDE == 8 ? 2 : 16)
  for (int k = 0; k < Tile<SIDE>::DEPTH; ++k) {
    Four left[SIDE / 4], right[SIDE / 4];
#pragma unroll
    for (int j = 0; j < SIDE; j += 4) {
      left[j / 4] = *reinterpret_cast<const Four*>(&a[k][Tile<SIDE>::place(down, j)]);
      right[j / 4] = *reinterpret_cast<const Four*>(&b[k][Tile<SIDE>::place(across, j)]);
    }
#pragma unroll
    for (int i = 0; i < SIDE; ++i)
#pragma unroll
      for (int j = 0; j < SIDE; ++j) sums[i][j] += left[i / 4].of[i % 4] * right[j / 4].of[j % 4];
  }
}

// Writes this thread's elements: out[row_of(m) + n] = end(sum + bias[n]) + z[row_of(m) + n], four at a time where the
// output's row is aligned. row_of(m) is -1 where the tile's row m does not exist; `columns` of its columns do; bias and
// z may be null; moments are taken of what is written.
template <int SIDE, class Element, class RowOf, class End, class Of>
static __device__ void store(const Acc (&sums)[SIDE][SIDE], Element* out, const T* bias, int columns, RowOf row_of,
                             End end, Of& moments, const Element* z) {
  typedef Vector<Element, 4> Quad;
  const int across = threadIdx.x % 16, down = threadIdx.x / 16;
  Acc added[SIDE] = {};
#pragma unroll
  for (int j = 0; j < SIDE; ++j) {
    const int n = Tile<SIDE>::place(across, j);
    if (bias && n < columns) added[j] = Acc(bias[n]);
  }
#pragma unroll
  for (int i = 0; i < SIDE; ++i) {
    const int row = row_of(Tile<SIDE>::place(down, i));
    if (row < 0) continue;
    const bool whole = aligned<Quad>(out + row);
#pragma unroll
    for (int j = 0; j < SIDE; j += 4) {
      const int n = Tile<SIDE>::place(across, j);
      Quad four = {};
      if (z) four = load_some<Element, 4>(z + row + n, columns - n);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const Acc sum = end(sums[i][j + e] + added[j + e]);
        four.of[e] = Element(z ? sum + Acc(four.of[e]) : sum);
      }
      moments.take(j / 4, four);
      if (whole && n + 3 < columns) {  // known of the row: `store_some` would look at each address
        *reinterpret_cast<Quad*>(out + row + n) = four;
      } else {
#pragma unroll
        for (int e = 0; e < 4; ++e)
          if (n + e < columns) out[row + n + e] = four.of[e];
      }
    }
  }
}

// Calls visit(n, place) for each element that `store` makes this thread write: its column, and its place in `out`.
template <int SIDE, class RowOf, class Visit>
static __device__ void each_stored(int columns, RowOf row_of, Visit visit) {
#pragma unroll 1
  for (int i = 0; i < SIDE; ++i) {
    const int row = row_of(Tile<SIDE>::place(threadIdx.x / 16, i));
#pragma unroll 1
    for (int j = 0; row >= 0 && j < SIDE; ++j) {
      const int n = Tile<SIDE>::place(threadIdx.x % 16, j);
      if (n < columns) visit(n, row + n);
    }
  }
}

// The moments of what `store` writes.
template <int SIDE>
using TileMoments = BlockMoments<4, SIDE / 4, 16, THREADS / WARP, Tile<SIDE>::SIZE>;

struct AsItIs {
  __device__ Acc operator()(Acc sum) const { return sum; }
};

// Computes this block's tile and writes it as `store` does.
template <int SIDE, class A, class B, class Element, class RowOf, class End = AsItIs, class Of = NoMoments>
static __device__ void tile_product(A left, B right, int length, Element* out, const T* bias, int columns,
                                    RowOf row_of, End end = {}, Of moments = {}, const Element* z = nullptr) {
  constexpr int DEPTH = Tile<SIDE>::DEPTH;
  __shared__ __align__(16) Strip<SIDE> as[2], bs[2];
  Supply<SIDE, A> a(left);
  Supply<SIDE, B> b(right);
  Acc sums[SIDE][SIDE] = {};
  a.begin(as[0]), b.begin(bs[0]);
  a.end(as[0]), b.end(bs[0]);
  __syncthreads();
  for (int k = 0, now = 0; k < length; k += DEPTH, now ^= 1) {
    const bool more = k + DEPTH < length;
    if (more) {
      a.loader.advance(DEPTH), b.loader.advance(DEPTH);
      a.begin(as[now ^ 1]), b.begin(bs[now ^ 1]);
    }
    multiply<SIDE>(as[now], bs[now], sums);
    if (more) {
      a.end(as[now ^ 1]), b.end(bs[now ^ 1]);
      __syncthreads();
    }
  }
  store<SIDE>(sums, out, bias, columns, row_of, end, moments, z);
  moments.write(as, threadIdx.x % 16 * 4, threadIdx.x / WARP);
}

// A number in the digits (high, middle, low) of a mixed base, counted up without dividing until a digit overflows.
struct Counter {
  int high, middle, low, middles, lows;
  __device__ Counter(int value, int middles, int lows) : middles(middles), lows(lows) {
    low = value % lows, value /= lows;
    middle = value % middles, high = value / middles;
  }
  __device__ void advance(int by) {
    low += by;
    if (low < lows) return;
    middle += low / lows, low %= lows;
    if (middle < middles) return;
    high += middle / middles, middle %= middles;
  }
  __device__ Counter after(int by) const {
    Counter later = *this;
    later.advance(by);
    return later;
  }
};

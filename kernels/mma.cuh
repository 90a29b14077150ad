// The product of two matrices on tensor cores: out[m,n] = sum over k of  A[m,k] B[n,k], k from 0 to length - 1.
//
// A block computes a tile of M x N elements, each of its warps WARP_M x WARP_N of them, as matrices of 16 x 8 sums in
// registers. Of each 32 of k, the block brings a panel of A and one of B into shared memory, by asynchronous copies of
// 16 bytes; while it multiplies those, the next STAGES - 1 are on their way. One barrier a step: a panel is overwritten
// behind the barrier that all came to after they last read it.
//
// A grid may have fewer blocks than there are tiles: then a block computes one after the other, and sends for the next
// one's first panels before it writes the sums that it has. A tile's sums, and their bits, do not know of it.
//
// Elements stay as they are in memory. A panel is lines of chunks of 16 bytes: a line has the 32 elements of one row (m
// or n) along k, or those of one k along the rows. Within a line, chunks change places (`place`), so that eight lanes
// that read eight rows, or write a line, meet each bank of shared memory once.
//
// Where elements stand is told by a loader for each matrix, so that a matrix need not exist in memory:
//
//   Panel         the panel that it fills
//   at(i, e)      the address of element e of this thread's i-th chunk, null where it is 0
//   anywhere()    an address for copies of nothing
//   whole()       whether chunks are aligned, and in memory as they are or all 0; if not, elements are read singly
//   advance()     goes on by 32 along k
//
// float32 is rounded to TF32 (PRODUCTS = 1), or is two numbers of TF32, large + small (PRODUCTS = 3): of their
// products, small large + large small + large large are summed up in this order, and small small, 2^-22 of it, is left
// out. Tensor cores cut their sums off, always to the same side. So that this does not add up, the sums of three
// products are emptied into others, by float32's addition, every 32 of k.
#pragma once
#include "tile.cuh"

constexpr int STEP = 32;               // of k, from barrier to barrier
constexpr int CHUNK = 16 / sizeof(T);  // elements that are copied at once
constexpr int MOST_SHARED = 96 << 10;  // bytes of panels in a block, which every architecture from sm_80 on has
#if defined(GPUCNN_float16)
constexpr Format FORMAT = FLOAT16;
#elif defined(GPUCNN_bfloat16)
constexpr Format FORMAT = BFLOAT16;
#else
constexpr Format FORMAT = TF32;
#endif

template <int THE_ROWS, bool THE_ORDER, int THE_THREADS>
struct Panel {
  static constexpr int ROWS = THE_ROWS, BYTES = ROWS * STEP * sizeof(T);
  static constexpr bool ALONG_K = THE_ORDER;
  static constexpr int CHUNKS = (ALONG_K ? STEP : ROWS) / CHUNK;  // of a line
  static constexpr int COUNT = BYTES / 16 / THE_THREADS;          // of a thread's chunks

  // The line and the chunk in it of this thread's i-th.
  static __device__ int line(int i) { return threadIdx.x / CHUNKS + i * (THE_THREADS / CHUNKS); }
  static __device__ int chunk() { return threadIdx.x % CHUNKS; }

  // Where a chunk stands, in bytes.
  static __device__ int place(int line, int chunk) {
    const int other = CHUNKS == 4 ? line >> 1 & 3 : ALONG_K || sizeof(T) == 2 ? line & 7 : (line & 3) << 1;
    return (line * CHUNKS + (chunk ^ other)) * 16;
  }
};

// Sends for the elements of a panel.
template <class Loader>
static __device__ void bring(unsigned char* panel, const Loader& loader, bool whole) {
  typedef typename Loader::Panel Panel;
#pragma unroll
  for (int i = 0; i < Panel::COUNT; ++i) {
    unsigned char* to = panel + Panel::place(Panel::line(i), Panel::chunk());
    if (whole) {
      const T* from = loader.at(i, 0);
      copy_async_or_zeros(to, from ? from : loader.anywhere(), from ? 16 : 0);
    } else {
#pragma unroll 1
      for (int e = 0; e < CHUNK; ++e) {
        const T* from = loader.at(i, e);
        reinterpret_cast<T*>(to)[e] = from ? *from : T(0);
      }
    }
  }
}

// Brings 16 rows of a panel, from `first` on, into registers: as one A of multiply_matrices, or as two B side by side.
template <class Panel, bool IS_A>
static __device__ void take(uint32 (&into)[4], const unsigned char* panel, int first, int step) {
  const int lane = threadIdx.x % 32, of_eight = lane % 8, low = lane >> 3 & 1, high = lane >> 4;
  if constexpr (Panel::ALONG_K) {
    const int row = first + of_eight + 8 * (IS_A ? low : high);
    load_matrices<false>(into, panel + Panel::place(row, 2 * step + (IS_A ? high : low)));
  } else if constexpr (sizeof(T) == 2) {
    const int k = step * 16 + of_eight + 8 * (IS_A ? high : low);
    load_matrices<true>(into, panel + Panel::place(k, first / 8 + (IS_A ? low : high)));
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int k = step * 8 + lane % 4 + 4 * (IS_A ? i / 2 : i % 2);
      const int row = first + lane / 4 + 8 * (IS_A ? i % 2 : i / 2);
      into[i] = *reinterpret_cast<const uint32*>(panel + Panel::place(k, row / 4) + row % 4 * 4);
    }
  }
}

// Registers as the products take them: float32 as one number of TF32, or as large and small ones.
template <int PRODUCTS, int COUNT>
struct Split {
  static constexpr int SMALL = PRODUCTS == 3 ? COUNT : 1;
  uint32 large[COUNT][4], small[SMALL][4];

  __device__ void round(int i) {
    if constexpr (FORMAT == TF32) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const float x = __uint_as_float(large[i][r]);
        large[i][r] = float_to_tf32(x);
        if constexpr (PRODUCTS == 3) small[i][r] = float_to_tf32(x - __uint_as_float(large[i][r] & 0xffffe000u));
      }
    }
  }
};

template <int THE_M, int THE_N, int THE_WARP_M, int THE_WARP_N, int THE_PRODUCTS>
struct Mma {
  static constexpr int M = THE_M, N = THE_N, WARP_M = THE_WARP_M, WARP_N = THE_WARP_N, PRODUCTS = THE_PRODUCTS;
  static constexpr int BLOCK = M / WARP_M * (N / WARP_N) * 32;   // threads
  static constexpr bool ALONE = BLOCK == 256 && sizeof(T) == 2;  // on a multiprocessor, and with registers left
  static constexpr int STAGE = (M + N) * STEP * sizeof(T);       // bytes of both panels
  static constexpr int STAGES = MOST_SHARED / STAGE < 4 ? MOST_SHARED / STAGE : 4;
  static constexpr int HIGH = WARP_M / 16, WIDE = WARP_N / 8;  // of a warp's sums, in matrices
  static constexpr int LINE = WARP_N + 8;                      // of sums on their way out: keeps banks apart
  static constexpr int HELD = BLOCK / 32 * 16 * LINE * 4;      // bytes of these
  template <bool ALONG_K>
  using PanelA = Panel<M, ALONG_K, BLOCK>;
  template <bool ALONG_K>
  using PanelB = Panel<N, ALONG_K, BLOCK>;
  typedef float Sums[HIGH][WIDE][4];

  static __device__ int warp() { return threadIdx.x / 32; }
  static __device__ int row() { return warp() / (N / WARP_N) * WARP_M; }  // the first of this warp's
  static __device__ int column() { return warp() % (N / WARP_N) * WARP_N; }
};

// Adds a panel's share to this warp's sums. Three products are unrolled but twice: addresses of more take registers.
template <class Tile, class A, class B>
static __device__ void multiply_panels(const unsigned char* a, const unsigned char* b, typename Tile::Sums& sums) {
#pragma unroll (Tile::PRODUCTS == 3 ? 2 : 4)
  for (int step = 0; step < STEP / (2 * CHUNK); ++step) {
    Split<Tile::PRODUCTS, Tile::WIDE / 2> right;
#pragma unroll
    for (int j = 0; j < Tile::WIDE / 2; ++j) {
      take<B, false>(right.large[j], b, Tile::column() + j * 16, step);
      right.round(j);
    }
#pragma unroll
    for (int i = 0; i < Tile::HIGH; ++i) {
      Split<Tile::PRODUCTS, 1> left;
      take<A, true>(left.large[0], a, Tile::row() + i * 16, step);
      left.round(0);
#pragma unroll
      for (int product = 3 - Tile::PRODUCTS; product < 3; ++product)
#pragma unroll
        for (int j = 0; j < Tile::WIDE; ++j) {
          const uint32(&as)[4] = product == 0 ? left.small[0] : left.large[0];
          const uint32(&bs)[4] = product == 1 ? right.small[j / 2 % right.SMALL] : right.large[j / 2];
          const uint32 two[2] = {bs[j % 2 * 2], bs[j % 2 * 2 + 1]};
          multiply_matrices<FORMAT>(sums[i][j], as, two);
        }
    }
  }
}

// Adds sums to the total, and empties them.
template <class Tile>
static __device__ void fold(typename Tile::Sums& total, typename Tile::Sums& sums) {
#pragma unroll
  for (int i = 0; i < Tile::HIGH; ++i)
#pragma unroll
    for (int j = 0; j < Tile::WIDE; ++j)
#pragma unroll
      for (int r = 0; r < 4; ++r) total[i][j][r] += sums[i][j][r], sums[i][j][r] = 0;
}

// Calls visit(n, place) for each element that `write_sums` makes this lane write: its column, and its place in `out`.
template <class Tile, class Element, class RowOf, class Visit>
static __device__ void each_written(int columns, RowOf row_of, Visit visit) {
  constexpr int WHOLE = 16 / sizeof(Element), ACROSS = Tile::WARP_N / WHOLE;
  const int lane = threadIdx.x % 32, n = Tile::column() + lane % ACROSS * WHOLE;
#pragma unroll 1
  for (int m = lane / ACROSS; m < Tile::WARP_M; m += 32 / ACROSS) {
    const int row = row_of(Tile::row() + m);
#pragma unroll 1
    for (int e = 0; row >= 0 && e < WHOLE && n + e < columns; ++e) visit(n + e, row + n + e);
  }
}

// Writes this warp's sums: out[row_of(m) + n] = end(sum + bias[n]) + z[row_of(m) + n]. Sixteen rows at a time go by
// way of shared memory, so that a lane has 16 bytes of one row, and rows are written whole. row_of(m) is -1 where the
// tile's row m does not exist; `columns` of its columns do; bias and z may be null; moments are taken of what is
// written.
template <class Tile, class Element, class RowOf, class End, class Of>
static __device__ void write_sums(const typename Tile::Sums& sums, float* held, Element* out, const T* bias,
                                  int columns, RowOf row_of, End end, Of& moments,
                                  const Element* z = nullptr) {
  constexpr int WHOLE = 16 / sizeof(Element), ACROSS = Tile::WARP_N / WHOLE;  // a lane's elements, and lanes, of a row
  typedef Vector<Element, WHOLE> Some;
  const int lane = threadIdx.x % 32, first = lane % ACROSS * WHOLE, n = Tile::column() + first;
  held += Tile::warp() * 16 * Tile::LINE;
  Acc added[WHOLE];
#pragma unroll
  for (int e = 0; e < WHOLE; ++e) added[e] = bias && n + e < columns ? Acc(bias[n + e]) : Acc(0);
#pragma unroll
  for (int i = 0; i < Tile::HIGH; ++i) {
    __syncwarp();
#pragma unroll
    for (int j = 0; j < Tile::WIDE; ++j)
#pragma unroll
      for (int r = 0; r < 4; r += 2) {
        float* to = held + (lane / 4 + r * 4) * Tile::LINE + j * 8 + lane % 4 * 2;
        *reinterpret_cast<Vector<float, 2>*>(to) = {{sums[i][j][r], sums[i][j][r + 1]}};
      }
    __syncwarp();
#pragma unroll
    for (int down = lane / ACROSS; down < 16; down += 32 / ACROSS) {
      const int row = row_of(Tile::row() + i * 16 + down);
      if (row < 0) continue;
      Some some = {};
      if (z) some = load_some<Element, WHOLE>(z + row + n, columns - n);
#pragma unroll
      for (int e = 0; e < WHOLE; e += 4) {
        const Four four = *reinterpret_cast<const Four*>(held + down * Tile::LINE + first + e);
#pragma unroll
        for (int f = 0; f < 4; ++f) {
          const Acc sum = end(four.of[f] + added[e + f]);
          some.of[e + f] = Element(z ? sum + Acc(some.of[e + f]) : sum);
        }
      }
      moments.take(0, some);
      store_some(out + row + n, some, columns - n);
    }
  }
}

// The moments of what `write_sums` writes.
template <class Tile>
using MmaMoments = BlockMoments<CHUNK, 1, Tile::WARP_N / CHUNK, Tile::M / Tile::WARP_M, Tile::N>;

// What a tile is made of: the panels of one step after the other, each a group of copies.
template <class Tile, class A, class B>
struct Panels {
  A a;
  B b;
  bool whole_a, whole_b;
  int next, steps;

  __device__ Panels(const A& a, const B& b, int length)
      : a(a), b(b), whole_a(a.whole()), whole_b(b.whole()), next(0), steps((length + STEP - 1) / STEP) {}

  __device__ void send() {
    if (next < steps) {
      unsigned char* const to = dynamic_shared() + next % Tile::STAGES * Tile::STAGE;
      bring(to, a, whole_a), bring(to + A::Panel::BYTES, b, whole_b);
    }
    commit_copies();
    pass();
  }
  __device__ void pass() { ++next, a.advance(), b.advance(); }

  // Computes the sums of a tile of which so many steps have been sent for.
  __device__ void multiply(typename Tile::Sums& sums, int sent) {
    typename Tile::Sums some = {};
#pragma unroll
    for (int step = 0; step < Tile::STAGES - 1; ++step) {
      if (step < sent) pass();
      else send();
    }
    for (int step = 0; step < steps; ++step) {
      await_copies_but<Tile::STAGES - 2>();
      __syncthreads();
      send();
      const unsigned char* from = dynamic_shared() + step % Tile::STAGES * Tile::STAGE;
      auto& to = Tile::PRODUCTS == 3 ? some : sums;
      multiply_panels<Tile, typename A::Panel, typename B::Panel>(from, from + A::Panel::BYTES, to);
      if (Tile::PRODUCTS == 3) fold<Tile>(sums, some);
    }
    __syncthreads();
  }
};

// Computes a tile of `tiles`, or with MANY every gridDim.x-th from blockIdx.x on. panels_of(tile) tells what it is made
// of; write(tile, sums, held) writes it by way of `held` in shared memory, at the end of the panels: before that, the
// next tile's first AHEAD steps are sent for.
template <class Tile, bool MANY, class PanelsOf, class Write>
static __device__ void mma_tiles(int tiles, PanelsOf panels_of, Write write) {
  constexpr int FREE = (Tile::STAGES * Tile::STAGE - Tile::HELD) / Tile::STAGE;
  constexpr int AHEAD = FREE < Tile::STAGES ? FREE : Tile::STAGES - 1;
  static_assert(AHEAD > 0, "a tile's sums leave no room for the next one's panels");
  float* const held = reinterpret_cast<float*>(dynamic_shared() + Tile::STAGES * Tile::STAGE - Tile::HELD);
  for (int tile = blockIdx.x, sent = 0; tile < tiles; tile += gridDim.x, sent = AHEAD) {
    typename Tile::Sums sums = {};
    if (sent > 0) __syncthreads();  // the sums before these are out
    panels_of(tile).multiply(sums, sent);
    const int next = tile + gridDim.x;
    if (MANY && next < tiles) {
      auto panels = panels_of(next);
#pragma unroll
      for (int step = 0; step < AHEAD; ++step) panels.send();
    }
    write(tile, sums, held);
    if (!MANY) return;
  }
}

// A weight gradient's sums, over the tiles that a block takes one after the other: of the results m of a tile, whose
// channel n stands in `other` as it does in the results, sum over m of  other[m,n] band[m,k], k a tap and channel.
//
// A thread has 8 channels n and 4 terms k, neighbours where there are so many channels, and every `lanes`-th result of
// a tile. The lanes are added in order in the end.
#pragma once
#include "band_product.cuh"

template <bool NEIGHBOURS>
static __device__ void add_results(Acc (&sums)[4][8], const Acc* band, const int (&at)[4], const Acc* other,
                                   const int* places, int first, int count, int by, int pitch) {
  for (int m = first; m < count; m += by) {
    const Acc* from = band + places[m];
    Acc seen[4], factors[8];
    if constexpr (NEIGHBOURS) {
      take_row(seen, from + at[0]);
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) seen[i] = from[at[i]];
    }
    take_row(factors, other + m * pitch);
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int n = 0; n < 8; ++n) sums[i][n] += seen[i] * factors[n];
  }
}

template <class Terms>
struct BandSums {
  const Terms& terms;
  const Sight& sight;
  const Tiling& t;
  const int chunk;  // of all sums, which this block has
  Acc sums[4][8];

  __device__ BandSums(const Terms& terms, const Sight& sight, const Tiling& t, int chunk)
      : terms(terms), sight(sight), t(t), chunk(chunk), sums{} {}

  __device__ int length() const { return terms.g.R * terms.g.S * sight.depth; }
  __device__ int quads() const { return (length() - 1) / 4 + 1; }
  __device__ int chunks() const { return (quads() - 1) / t.quads + 1; }  // with the same channels
  __device__ int channel() const { return chunk / chunks() * t.groups * 8; }
  __device__ int team() const { return t.groups * t.quads; }
  __device__ int lanes() const { return blockDim.x / team(); }

  // The i-th term of the quad that a thread has as member of its team.
  __device__ int term(int member, int i) const {
    const int quad = chunk % chunks() * t.quads + member / t.groups;
    return sight.depth % 4 == 0 ? quad * 4 + i : quad < quads() ? quad + i * quads() : length();
  }

  // Adds a tile, whose band other threads may just have brought.
  __device__ void add(const BandMemory& memory, const T* other, const Spot& spot) {
    const int count = spot.rows * spot.columns, columns = t.groups * 8, stretch = min(BESIDE / columns, PLACES);
    const int member = threadIdx.x % team(), lane = threadIdx.x / team(), n0 = channel();
    int at[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) at[i] = terms.place(min(term(member, i), length() - 1), spot, t);
    for (int m = 0; m < count; m += stretch) {
      const int results = min(stretch, count - m);
      if (m > 0) __syncthreads();
      for (int i = threadIdx.x; i < results * columns; i += blockDim.x) {
        const int n = n0 + i % columns, result = m + i / columns;
        const int row = spot.row + result / spot.columns, column = spot.column + result % spot.columns;
        const T* from = other + ((spot.n * sight.rows + row) * sight.columns + column) * sight.outputs;
        memory.beside[i] = n < sight.outputs ? Acc(from[n]) : Acc(0);
      }
      for (int i = threadIdx.x; i < results; i += blockDim.x) memory.places[i] = spot.place(m + i, sight, t);
      __syncthreads();
      if (lane >= lanes()) continue;
      const Acc* own = memory.beside + member % t.groups * 8;
      if (sight.depth % 4 == 0)
        add_results<true>(sums, memory.band, at, own, memory.places, lane, results, lanes(), columns);
      else add_results<false>(sums, memory.band, at, own, memory.places, lane, results, lanes(), columns);
    }
  }

  // Writes all lanes' sums, by way of the band's memory.
  __device__ void write(const BandMemory& memory, Acc* parts) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) {  // of one term of each thread
      __syncthreads();
#pragma unroll
      for (int n = 0; n < 8; ++n) memory.band[threadIdx.x * 8 + n] = sums[i][n];
      __syncthreads();
      for (int e = threadIdx.x; e < team() * 8; e += blockDim.x) {
        const int n = channel() + e / 8 % t.groups * 8 + e % 8, k = term(e / 8, i);
        if (n >= sight.outputs || k >= length()) continue;
        Acc sum = memory.band[e];
        for (int l = 1; l < lanes(); ++l) sum += memory.band[l * team() * 8 + e];
        parts[terms.weight(n, k)] = sum;
      }
    }
  }
};

// The results of a tile from the band that it sees: out[m,n] = end(b[n] + sum over k of  band[m,k] w[n,k]) + z[m,n],
// where k is a tap and a channel; b and z may be null.
//
// A thread has 8 channels n of PIXELS results m. The sum is taken by stretches, whose weights are in shared memory
// beside the places of their terms.
#pragma once
#include "band.cuh"
#include "spread.cuh"

// Brings the weights of terms first .. first + count - 1 of the sum, one term a row, and zeros beyond the last output.
template <class Terms>
static __device__ void bring_weights(Acc* to, const T* w, const Terms& terms, int first, int count, int n0,
                                     int outputs, int columns, int pitch) {
  for (int i = threadIdx.x; i < count * columns; i += blockDim.x) {
    const int k = Terms::TERMS_ARE_NEIGHBOURS ? i % count : i / columns;
    const int n = Terms::TERMS_ARE_NEIGHBOURS ? i / count : i % columns;
    to[k * pitch + n] = n0 + n < outputs ? Acc(w[terms.weight(n0 + n, first + k)]) : Acc(0);
  }
}

// Adds `count` terms, STEP neighbours of the band at a time.
template <int PIXELS, int STEP>
static __device__ void add_terms(Acc (&sums)[PIXELS][8], const Acc* band, const int (&at)[PIXELS], const Acc* weights,
                                 const int* places, int count, int pitch) {
  for (int k = 0; k < count; k += STEP) {
    const Acc* from = band + places[k];
    Acc seen[PIXELS][STEP];
#pragma unroll
    for (int i = 0; i < PIXELS; ++i) take_row(seen[i], from + at[i]);
#pragma unroll
    for (int e = 0; e < STEP; ++e) {
      Acc weight[8];
      take_row(weight, weights + (k + e) * pitch);
#pragma unroll
      for (int i = 0; i < PIXELS; ++i)
#pragma unroll
        for (int n = 0; n < 8; ++n) sums[i][n] += seen[i][e] * weight[n];
    }
  }
}

// Writes 8 channels of an output, of which `exist` do, z added to them; moments are taken of what is written.
template <class End, class Of>
static __device__ void write_eight(T* to, const Acc (&sums)[8], const T* bias, int exist, const End& end, Of& moments,
                                   const T* z) {
#pragma unroll
  for (int n = 0; n < 8; n += 4) {
    Vector<T, 4> four = {};
    if (z) four = load_some<T, 4>(z + n, exist - n);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const Acc sum = end.brief(sums[n + e] + (bias && n + e < exist ? Acc(bias[n + e]) : Acc(0)));
      four.of[e] = T(z ? sum + Acc(four.of[e]) : sum);
    }
    moments.take(n / 4, four);
    store_some(to + n, four, exist - n);
  }
}

// The moments of what the threads of a block write, one part of all results where tiles are equal.
struct BandMoments {
  Parts parts;
  Moments<8> found;
  Acc share;  // of the result under way

  // The i-th four of a result's 8 channels, in order.
  __device__ void take(int i, const Vector<T, 4>& four) {
    if (!parts.means) return;
    if (i == 0) share = found.next();
#pragma unroll
    for (int e = 0; e < 4; ++e) found.take(i * 4 + e, four.of[e], share);
  }
  // memory: for a Moments<8> of each thread; n: the thread's first channel of `outputs`.
  __device__ void write(void* memory, int groups, int n, int outputs) {
    if (!parts.means) return;
    const Lanes own = {int(threadIdx.x) / groups, int(blockDim.x) / groups, groups};
    __syncthreads();
    found = merged(own, found, static_cast<Moments<8>*>(memory));
    if (own.lane) return;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int at = blockIdx.x * outputs + n + i;
      if (n + i < outputs) parts.means[at] = found.mean[i], parts.squares[at] = found.square[i];
    }
  }
};

struct Endless {  // in place of an Ending, where results are written as they are
  __device__ bool whole() const { return true; }
  __device__ Acc brief(Acc sum) const { return sum; }
  __device__ Acc operator()(Acc sum, int, int) const { return sum; }
};

// What a block has in shared memory.
struct BandMemory {
  Acc *band, *beside;
  int* places;
};

// Computes and writes the channels from n0 on of a tile, whose band other threads may just have brought.
template <int PIXELS, class Terms, class End, class Of = NoMoments>
static __device__ void multiply_band(const BandMemory& memory, const T* w, const T* b, T* out, const Terms& terms,
                                     const Spot& spot, const Sight& sight, const Tiling& t, int n0,
                                     const End& end, Of moments = {}, const T* z = nullptr) {
  const int group = threadIdx.x % t.groups, first = threadIdx.x / t.groups, apart = blockDim.x / t.groups;
  const int count = spot.rows * spot.columns;
  const int length = terms.g.R * terms.g.S * sight.depth, columns = t.groups * 8, pitch = columns + 4;
  const int stretch = min(BESIDE / pitch, PLACES) / 4 * 4;
  int at[PIXELS];
#pragma unroll
  for (int i = 0; i < PIXELS; ++i) {
    const int m = first + i * apart;
    at[i] = first < apart && m < count ? spot.place(m, sight, t) : 0;
  }
  Acc sums[PIXELS][8] = {};
  for (int k0 = 0; k0 < length; k0 += stretch) {
    const int some = min(stretch, length - k0);
    if (k0 > 0) __syncthreads();
    bring_weights(memory.beside, w, terms, k0, some, n0, sight.outputs, columns, pitch);
    for (int k = threadIdx.x; k < some; k += blockDim.x) memory.places[k] = terms.place(k0 + k, spot, t);
    __syncthreads();
    const Acc* own = memory.beside + group * 8;
    if (sight.depth % 4 == 0) add_terms<PIXELS, 4>(sums, memory.band, at, own, memory.places, some, pitch);
    else add_terms<PIXELS, 1>(sums, memory.band, at, own, memory.places, some, pitch);
  }
  const int n = n0 + group * 8;
#pragma unroll
  for (int i = 0; i < PIXELS; ++i) {
    const int m = first + i * apart;
    if (first >= apart || m >= count) continue;
    const int row = spot.row + m / spot.columns, column = spot.column + m % spot.columns;
    T* to = out + terms.pixel(spot.n, row, column) * sight.outputs + n;
    write_eight(to, sums[i], b ? b + n : b, sight.outputs - n, end, moments, z ? z + (to - out) : z);
#pragma unroll 1
    for (int e = 0; !end.whole() && e < min(8, sight.outputs - n); ++e) to[e] = T(end(Acc(to[e]), n + e, to + e - out));
  }
  moments.write(memory.band, t.groups, n, sight.outputs);
}

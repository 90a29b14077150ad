// Halves made of float32, and float32 of halves.
//
//   store_halves   stored[i] = T(values[i] scale)       all arrays of a network at once; scale 1 where it is missing
//   widen                 y[i] = Acc(x[i])                nothing is lost
//
// In store_halves a block has a chunk of one array, and a thread every 256th element of it; in widen a thread has one
// element.
//
// Memory: an element is read, 4 bytes and 2, and one is written.
//
// Versions: this file, plain.
#include "chunks.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
store_halves(const Acc* const* __restrict__ values, T* const* __restrict__ stored,
             const Acc* __restrict__ scale /* or null */, const int* __restrict__ chunks) {
  const Chunk chunk(chunks);
  const Acc* __restrict__ value = values[chunk.array];
  T* __restrict__ half = stored[chunk.array];
  const Acc factor = scale ? *scale : Acc(1);
  for (int i = chunk.begin + threadIdx.x; i < chunk.end; i += THREADS) half[i] = T(value[i] * factor);
}

extern "C" __global__ void __launch_bounds__(THREADS)
widen(const T* __restrict__ x, Acc* __restrict__ y, int count) {
  const int i = element();
  if (i < count) y[i] = Acc(x[i]);
}

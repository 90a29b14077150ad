// Arrays copied to others of the same sizes, all by one launch; where `where` is given and 0, none of them.
//
//   to_k[i] = from_k[i]
//
// A block copies a chunk of one array, a thread every 256th element of it.
//
// Memory: the arrays are read once and written once.
//
// Versions: this file, plain.
#include "chunks.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
copy_arrays(const T* const* __restrict__ from, T* const* __restrict__ to, const int* __restrict__ chunks,
            const int* __restrict__ where /* or null */) {
  if (where && !*where) return;
  const Chunk chunk(chunks);
  const T* __restrict__ source = from[chunk.array];
  T* __restrict__ target = to[chunk.array];
  for (int i = chunk.begin + threadIdx.x; i < chunk.end; i += THREADS) target[i] = source[i];
}

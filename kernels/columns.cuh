// Reductions over the rows of a matrix, column by column: of a block's threads, 32 neighbours have a column each, and 8
// such groups, the lanes, share the rows of the block's part. What the lanes of a column have found is put together in
// order, by the first of them.
#pragma once
#include "types.cuh"

#define COLUMNS 32
#define LANES (THREADS / COLUMNS)

struct Column {
  int c, lane, begin, end;  // rows begin, begin + LANES, ... before end are this thread's
  __device__ Column(int rows, int columns) {
    const Part part(rows);
    c = blockIdx.x * COLUMNS + threadIdx.x % COLUMNS, lane = threadIdx.x / COLUMNS;
    begin = part.begin + lane, end = c < columns ? part.end : 0;
  }
  // Whether this thread writes what its column's lanes have found together.
  __device__ bool first(int columns) const { return lane == 0 && c < columns; }
};

// Puts together what the lanes have found, by `into.merge(other)`; all threads of the block must call. The result is
// the first lane's.
template <class Found>
static __device__ Found merge_lanes(Found found) {
  __shared__ Found lanes[LANES][COLUMNS];
  const int column = threadIdx.x % COLUMNS;
  lanes[threadIdx.x / COLUMNS][column] = found;
  __syncthreads();
  if (threadIdx.x < COLUMNS)
    for (int lane = 1; lane < LANES; ++lane) found.merge(lanes[lane][column]);
  return found;
}

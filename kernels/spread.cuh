// The rows of a matrix (rows, C) spread over the threads of blocks, for what is done along the rows, column by column.
//
// A thread has N neighbouring columns and every `lanes`-th row of the block's part of the rows (blockIdx.y), so that
// what belongs to a column is read once and its place needs no division; a block has as many lanes as its threads have
// rows. blockIdx.x counts strips of THREADS * N columns, where a row has more than that. What the lanes of a column
// have found is put together two by two, in an order that their number alone decides.
#pragma once
#include "activation.cuh"
#include "vector.cuh"

constexpr int ABREAST = 16 / sizeof(T);  // columns that a thread has, where their number is a multiple of it

// Whether it does, where an activation follows; else it has one.
static __device__ inline bool is_wide(int C, int function) { return C % ABREAST == 0 && is_brief(function); }

struct Lanes {
  int lane, lanes, across;  // this thread's lane, how many there are, and how far their threads are from each other
};

template <int N>
struct Spread : Lanes {
  int c, begin, end;  // rows begin, begin + lanes, ... before end and columns c, c + 1, ... c + N - 1 are this thread's
  __device__ Spread(int rows, int C) {
    const Part part(rows);
    across = min(C / N, THREADS), lane = threadIdx.x / across, lanes = THREADS / across;
    c = (blockIdx.x * THREADS + threadIdx.x % across) * N;
    begin = part.begin + lane, end = c < C && lane < lanes ? part.end : 0;
  }
};

// Puts together what the lanes have found, by `into.merge(other)`; all threads of the block must call. The result is
// the first lane's. all: shared memory for what each thread has.
template <class Found>
static __device__ Found merged(const Lanes& own, Found found, Found* all) {
  all[threadIdx.x] = found;
  __syncthreads();
  for (int active = own.lanes; active > 1;) {
    const int kept = (active + 1) / 2;
    if (own.lane < active - kept) {
      found.merge(all[threadIdx.x + kept * own.across]);
      all[threadIdx.x] = found;
    }
    active = kept;
    __syncthreads();
  }
  return found;
}

template <class Found>
static __device__ Found merged(const Lanes& own, Found found) {
  __shared__ Found all[THREADS];
  return merged(own, found, all);
}

template <int N>
struct SumOf {  // of some rows of N columns
  Acc value[N];
  __device__ void merge(const SumOf& other) {
#pragma unroll
    for (int i = 0; i < N; ++i) value[i] += other.value[i];
  }
};

// Where the parts of sums are put together: 8 columns a block, 32 lanes each.
struct Columns : Lanes {
  int c;
  __device__ Columns() {
    across = 8, lane = threadIdx.x / 8, lanes = THREADS / 8, c = blockIdx.x * 8 + threadIdx.x % 8;
  }
};

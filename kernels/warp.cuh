// What the 32 threads of a warp do together. All of them must call: no thread of a warp may have left before.
#pragma once
#include "types.cuh"

#define WARP 32
#define ALL_LANES 0xffffffffu

static __device__ inline int lane() { return threadIdx.x % WARP; }

// The row that this warp has, where each warp of a one-dimensional launch has one.
static __device__ inline int warp_row() { return element() / WARP; }

// The sum of the lanes' values, the same in all lanes and in a fixed order.
static __device__ inline Acc warp_sum(Acc value) {
  for (int apart = WARP / 2; apart; apart /= 2) value += __shfl_xor_sync(ALL_LANES, value, apart);
  return value;
}

// The largest of the lanes' values, NaNs left out.
static __device__ inline Acc warp_max(Acc value) {
  for (int apart = WARP / 2; apart; apart /= 2) value = fmax(value, __shfl_xor_sync(ALL_LANES, value, apart));
  return value;
}

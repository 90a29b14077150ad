// The logarithm of a row's softmax, by a warp: x_k - max - log sum_j exp(x_j - max).
//
// A score of minus infinity has probability 0; a row that holds a NaN or plus infinity becomes NaN. Where the
// difference of two finite scores overflows, it is taken as LOWEST: finite scores have finite logarithms.
#pragma once
#include "warp.cuh"

struct LogSoftmax {
  const T* row;
  Acc most, total;  // the row's maximum, and the sum of the exponentials of what stands below it

  __device__ LogSoftmax(const T* scores, int columns) : row(scores), most(-infinity()), total(0) {
    for (int k = lane(); k < columns; k += WARP) most = fmax(most, Acc(row[k]));
    most = warp_max(most);
    for (int k = lane(); k < columns; k += WARP) total += exp(below(k));
    total = warp_sum(total);
  }
  __device__ Acc below(int k) const {
    const Acc x = row[k], difference = x - most;
    return difference < LOWEST && x >= LOWEST ? Acc(LOWEST) : difference;
  }
};

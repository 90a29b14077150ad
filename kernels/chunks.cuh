// Many arrays, taken by one launch: they are cut into chunks, and a block has one of them.
#pragma once
#include "types.cuh"

// The elements begin .. end - 1 of one array, and what the host says of that array. chunks: four numbers a block.
struct Chunk {
  int array, begin, end;
  bool flag;
  explicit __device__ Chunk(const int* chunks) {
    const int* own = chunks + 4 * blockIdx.x;
    array = own[0], begin = own[1], end = own[2], flag = own[3];
  }
};

// What the kernels compute with. The one line that the loader puts above all, such as `#define GPUCNN_float32`, says
// what an array holds; every file is compiled once for each of them.
//
//   T        an element of an array in memory
//   Acc      what an element becomes once it is read, and what sums are carried in
//   LOWEST   the least finite Acc
//
// Scalars that a kernel takes are Acc or int, never T.
#pragma once

typedef unsigned char uint8;
typedef unsigned int uint32;
typedef long long int64;

#if defined(GPUCNN_float64)
typedef double T;
typedef double Acc;
#define LOWEST -1.7976931348623157e308
#else
typedef float T;
typedef float Acc;
#define LOWEST -3.402823466e38f
#endif

static __device__ inline Acc infinity() { return __int_as_float(0x7f800000); }

#define THREADS 256  // of a block, in every kernel that has one thread an element

// The element that this thread computes, counted over blockIdx.x. The launcher keeps arrays below 2^31 - 1024 elements,
// so that the idle threads of the last block have an int for a number, too.
static __device__ inline int element() { return blockIdx.x * blockDim.x + threadIdx.x; }

// One of the `parts` parts of equal size (the last ones shorter or empty) that a range of `count` things is cut into;
// by default the parts are counted over blockIdx.y. How many there are is decided by the shapes alone: sums are the
// same on every device.
struct Part {
  int begin, end;
  __device__ Part(int count, int part, int parts) {
    const int size = (count - 1) / parts + 1;
    begin = min(part * size, count), end = min(begin + size, count);
  }
  explicit __device__ Part(int count) : Part(count, blockIdx.y, gridDim.y) {}
};

// What the kernels compute with. The one line that the loader puts above all, such as `#define GPUCNN_float32`, says
// what an array holds; every file is compiled once for each of them.
//
//   T        an element of an array in memory: Float16, Bfloat16, float or double
//   Acc      what an element becomes once it is read, and what sums are carried in: double for double, else float
//   LOWEST   the least finite Acc
//
// Scalars that a kernel takes are Acc or int, never T. Half precisions are for memory alone: such an element turns into
// a float by itself, and a float into one by the rounding that T(sum) writes down.
#pragma once
#include "ptx.cuh"

typedef unsigned char uint8;
typedef long long int64;

struct Float16 {
  uint16 bits;
  Float16() = default;
  __device__ explicit Float16(float x) : bits(float_to_float16(x)) {}
  __device__ operator float() const { return float16_to_float(bits); }
};

struct Bfloat16 {
  uint16 bits;
  Bfloat16() = default;
  __device__ explicit Bfloat16(float x) : bits(float_to_bfloat16(x)) {}
  __device__ operator float() const { return bfloat16_to_float(bits); }
};

#if defined(GPUCNN_float16)
typedef Float16 T;
#elif defined(GPUCNN_bfloat16)
typedef Bfloat16 T;
#elif defined(GPUCNN_float32)
typedef float T;
#elif defined(GPUCNN_float64)
typedef double T;
#endif

#if defined(GPUCNN_float64)
typedef double Acc;
#define LOWEST -1.7976931348623157e308
#else
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

// The CUDA C++ language for g++: put in front of a kernel source, this makes it plain C++17.
//
// Only what the kernels use is here. A name that is missing is a compile error, and is added when a kernel needs it.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>
#include <utility>

#include "threads.h"

#define CUSHIM 1
#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static thread_local  // all of a module's shared memory is its TLS block: the run time finds it there

#define threadIdx (cushim_current->thread)
#define blockIdx (cushim_current->block)
#define blockDim (cushim_current->block_size)
#define gridDim (cushim_current->grid_size)

struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };

template <class T> inline T min(T a, T b) { return b < a ? b : a; }
template <class T> inline T max(T a, T b) { return a < b ? b : a; }
inline float __int_as_float(int bits) { float f; memcpy(&f, &bits, 4); return f; }
inline float __uint_as_float(unsigned bits) { float f; memcpy(&f, &bits, 4); return f; }
inline unsigned __float_as_uint(float f) { unsigned bits; memcpy(&bits, &f, 4); return bits; }
inline float __fmul_rn(float a, float b) { return a * b; }  // gcc fuses nothing for the x86-64 that it compiles for
inline double __dmul_rn(double a, double b) { return a * b; }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }

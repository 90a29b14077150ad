// The instructions that kernels use and CUDA C++ has no words for: inline PTX stands in this header and nowhere else.
//
// Beside each stands what it does in plain C++, `plain_NAME`: that is what runs where an architecture lacks the
// instruction, and on the CPU. The kernels of probe.cu hold one against the other on a GPU. Copies that go on by
// themselves are the one thing that C++ cannot say: on the CPU the tests' run time plays their part, and where an
// architecture has none, kernels do without.
#pragma once

typedef unsigned short uint16;
typedef unsigned int uint32;

// ---- half precisions --------------------------------------------------------------------------------------------
//
//   float16    1 sign, 5 exponent, 10 fraction bits     6e-8 .. 65504
//   bfloat16   1 sign, 8 exponent, 7 fraction bits      the range of float32
//
// Numbers are rounded to the nearest, of two that are as near to the even one; NaN becomes 0x7fff.

static __device__ inline float plain_float16_to_float(uint16 half) {
  const uint32 sign = (half & 0x8000u) << 16, rest = half & 0x7fffu;
  uint32 bits = (rest << 13) + (112u << 23);                           // the exponent's bias is 15, a float's 127
  if (rest < 0x0400u) bits = __float_as_uint(float(rest) * 0x1p-24f);  // zero, and what is below 2^-14
  if (rest >= 0x7c00u) bits = rest << 13 | 0x7f800000u;                // infinity, NaN
  return __uint_as_float(sign | bits);
}

static __device__ inline uint16 plain_float_to_float16(float x) {
  const uint32 bits = __float_as_uint(x), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return 0x7fffu;
  if (rest >= 0x477ff000u) return uint16(sign | 0x7c00u);  // from 65520 on: infinity
  if (rest < 0x38800000u)                                  // below 2^-14: a multiple of 2^-24, the last place of 0.5
    return uint16(sign | (__float_as_uint(__uint_as_float(rest) + 0.5f) - 0x3f000000u));
  return uint16(sign | (rest - (112u << 23) + 0xfffu + (rest >> 13 & 1)) >> 13);
}

static __device__ inline uint16 plain_float_to_bfloat16(float x) {
  const uint32 bits = __float_as_uint(x);
  return (bits & 0x7fffffffu) > 0x7f800000u ? uint16(0x7fffu) : uint16((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static __device__ inline float bfloat16_to_float(uint16 half) { return __uint_as_float(uint32(half) << 16); }

static __device__ inline float float16_to_float(uint16 half) {
#ifdef __CUDA_ARCH__
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(half));
  return x;
#else
  return plain_float16_to_float(half);
#endif
}

static __device__ inline uint16 float_to_float16(float x) {
#ifdef __CUDA_ARCH__
  uint16 half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(x));
  return half;
#else
  return plain_float_to_float16(x);
#endif
}

static __device__ inline uint16 float_to_bfloat16(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint16 half;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(half) : "f"(x));
  return half;
#else
  return plain_float_to_bfloat16(x);
#endif
}

// ---- copies into shared memory that go on by themselves ---------------------------------------------------------

#if defined(CUSHIM) || (defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800)
#define ASYNC_COPIES true

// Begins to copy 4, 8 or 16 bytes; both addresses are multiples of their number. What stands at `to` is undefined until
// the thread has called await_copies, and other threads see it behind the barrier that comes then.
template <int BYTES>
static __device__ void copy_async(void* to, const void* from) {
#ifdef CUSHIM
  cushim_copy_async(to, from, BYTES, __builtin_FILE(), __builtin_LINE());
#else
  const uint32 shared = uint32(__cvta_generic_to_shared(to));
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(shared), "l"(from), "n"(BYTES) : "memory");
#endif
}

// Waits until the copies that this thread has begun are there.
static __device__ inline void await_copies() {
#ifdef CUSHIM
  cushim_await_copies();
#else
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}
#else
#define ASYNC_COPIES false
template <int BYTES>
static __device__ void copy_async(void*, const void*) {}  // never called
static __device__ inline void await_copies() {}
#endif

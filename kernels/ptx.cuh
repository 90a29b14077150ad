// The instructions that kernels use and CUDA C++ has no words for: inline PTX stands in this header and nowhere else.
//
// Beside each stands what it does in plain C++, `plain_NAME`: that is what runs where an architecture lacks the
// instruction, and on the CPU. The kernels of probe.cu hold one against the other on a GPU. C++ cannot say what goes on
// by itself, copies, and what 32 lanes do at once, products of small matrices: on the CPU the tests' run time plays
// their part, on a GPU probe.cu and probe_mma.cu look at what they do, and where an architecture has none, kernels do
// without.
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

// TF32: 1 sign, 8 exponent, 10 fraction bits, in a float of whose last 13 bits tensor cores take no notice. Numbers are
// rounded to the nearest, of two that are as near to the larger in size.
static __device__ inline uint32 plain_float_to_tf32(float x) {
  const uint32 bits = __float_as_uint(x);
  return (bits & 0x7fffffffu) > 0x7f800000u ? 0x7fffffffu : (bits + 0x1000u) & 0xffffe000u;
}

static __device__ inline uint32 float_to_tf32(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32 bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
#else
  return plain_float_to_tf32(x);
#endif
}

// ---- shared memory ----------------------------------------------------------------------------------------------

// What a launch adds to a block's shared memory (`shared`, in bytes): it starts on a multiple of 16 bytes.
static __device__ inline unsigned char* dynamic_shared() {
#ifdef CUSHIM
  return static_cast<unsigned char*>(cushim_dynamic_shared());
#else
  extern __shared__ __align__(16) unsigned char added[];
  return added;
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
  cushim_copy_async(to, from, BYTES, BYTES, __builtin_FILE(), __builtin_LINE());
#else
  const uint32 shared = uint32(__cvta_generic_to_shared(to));
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(shared), "l"(from), "n"(BYTES) : "memory");
#endif
}

// Begins to copy 16 bytes past the first cache, of which `there` are read and the rest is zeros. Where none is read,
// `from` is any multiple of 16.
static __device__ inline void copy_async_or_zeros(void* to, const void* from, int there) {
#ifdef CUSHIM
  cushim_copy_async(to, from, 16, there, __builtin_FILE(), __builtin_LINE());
#else
  const uint32 shared = uint32(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(from), "r"(there) : "memory");
#endif
}

// Ends a group of copies: those that this thread has begun since the last.
static __device__ inline void commit_copies() {
#ifdef CUSHIM
  cushim_commit_copies();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until the copies that this thread has begun are there, but for those of its last LEFT groups.
template <int LEFT>
static __device__ void await_copies_but() {
#ifdef CUSHIM
  cushim_await_copies(LEFT);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
#endif
}

// Waits until the copies that this thread has begun are there.
static __device__ inline void await_copies() {
#ifdef CUSHIM
  cushim_await_copies(-1);
#else
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

// ---- small matrices, by all 32 lanes of a warp ------------------------------------------------------------------
//
// A matrix is spread over the lanes' registers. With g = lane / 4 and t = lane % 4, register i holds
//
//               row of A or C     TF32: k of A, B     halves: k of A, B, two a register, the lower in the low bits
//   A           g + i%2 * 8       t + i/2 * 4         2*t + i/2 * 8,  2*t + 1 + i/2 * 8
//   B           (column) g        t + i * 4           2*t + i * 8,    2*t + 1 + i * 8
//   C           g + i/2 * 8       (column) 2*t + i%2
//
// k runs to 7 for TF32 and to 15 for halves; `load_matrices` brings 8 x 8 halves, or 8 x 4 floats, in this order.

enum Format { TF32, FLOAT16, BFLOAT16 };

// C[m,n] += sum over k of A[m,k] B[k,n]: 16 x 8 sums in float32 of products that are exact. CUDA does not tell how sums
// are rounded; those who measured found that they are cut off.
template <Format FORMAT>
static __device__ void multiply_matrices(float (&c)[4], const uint32 (&a)[4], const uint32 (&b)[2]) {
#ifdef CUSHIM
  cushim_mma(cushim_format(FORMAT), c, a, b, __builtin_FILE(), __builtin_LINE());
#else
#define MATRICES                                                                                  \
  " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                        \
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                            \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1])
  if constexpr (FORMAT == TF32) asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" MATRICES);
  if constexpr (FORMAT == FLOAT16) asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32" MATRICES);
  if constexpr (FORMAT == BFLOAT16) asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32" MATRICES);
#undef MATRICES
#endif
}

// Loads four matrices of 8 rows of 16 bytes in shared memory, one a register: lane 8*i + r gives the address, a
// multiple of 16, of row r of matrix i. A lane gets the four bytes 4*t and on of row g; if TURNED, which is for halves,
// those of rows 2*t and 2*t + 1 in column g.
template <bool TURNED>
static __device__ void load_matrices(uint32 (&into)[4], const void* row) {
#ifdef CUSHIM
  cushim_load_matrices(into, row, TURNED, __builtin_FILE(), __builtin_LINE());
#else
  const uint32 shared = uint32(__cvta_generic_to_shared(row));
#define REGISTERS \
  " {%0,%1,%2,%3}, [%4];" : "=r"(into[0]), "=r"(into[1]), "=r"(into[2]), "=r"(into[3]) : "r"(shared) : "memory"
  if constexpr (TURNED) asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16" REGISTERS);
  else asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16" REGISTERS);
#undef REGISTERS
#endif
}
#else
#define ASYNC_COPIES false
template <int BYTES>
static __device__ void copy_async(void*, const void*) {}  // never called
static __device__ inline void await_copies() {}
#endif

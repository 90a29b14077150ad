// compiled for: float32; from sm_80 on
// Whether what a warp does together on a GPU is what ptx.cuh says, whose tables the tests on a CPU rest on.
//
//   probe_products   c[f,m,n] = sum over k of  a[m,k] b[n,k], for each format f: 8 of k for TF32, 16 for halves
//   probe_matrices   y[j,i,lane] = register i of a lane that loads rows of x, as they are (j = 0) and turned (j = 1)
//   probe_zeros      y[j,i] = the first i % 17 bytes of x[j], and zeros: in three groups of copies, awaited one by one
//
// One warp computes each, a thread its registers; whoever calls gives whole numbers, whose sums are the same in
// whatever order and precision.
//
// Memory: none to speak of.
//
// Versions: this file, plain.
#include "types.cuh"

template <Format FORMAT>
static __device__ uint32 packed(const float* x) {
  if (FORMAT == TF32) return float_to_tf32(x[0]);
  if (FORMAT == FLOAT16) return plain_float_to_float16(x[0]) | uint32(plain_float_to_float16(x[1])) << 16;
  return plain_float_to_bfloat16(x[0]) | uint32(plain_float_to_bfloat16(x[1])) << 16;
}

// Register by register as the tables of ptx.cuh say.
template <Format FORMAT>
static __device__ void multiply_by_table(const float* a, const float* b, float* c) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4, wide = FORMAT == TF32 ? 1 : 2;
  uint32 as[4], bs[2];
  float cs[4] = {};
  for (int i = 0; i < 4; ++i) as[i] = packed<FORMAT>(a + (g + i % 2 * 8) * 16 + (t + i / 2 * 4) * wide);
  for (int i = 0; i < 2; ++i) bs[i] = packed<FORMAT>(b + g * 16 + (t + i * 4) * wide);
  multiply_matrices<FORMAT>(cs, as, bs);
  for (int i = 0; i < 4; ++i) c[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = cs[i];
}

extern "C" __global__ void __launch_bounds__(32)
probe_products(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c) {
  multiply_by_table<TF32>(a, b, c);
  multiply_by_table<FLOAT16>(a, b, c + 128);
  multiply_by_table<BFLOAT16>(a, b, c + 256);
}

extern "C" __global__ void __launch_bounds__(32)
probe_matrices(const uint32* __restrict__ x, uint32* __restrict__ y) {  // 32 rows of 16 bytes
  uint32* const held = reinterpret_cast<uint32*>(dynamic_shared());
  const int lane = threadIdx.x, row = lane * 5 % 32;  // a lane's row may be any
  for (int i = 0; i < 4; ++i) held[i * 32 + lane] = x[i * 32 + lane];
  __syncthreads();
  uint32 found[4], turned[4];
  load_matrices<false>(found, held + row * 4);
  load_matrices<true>(turned, held + row * 4);
  for (int i = 0; i < 4; ++i) y[i * 32 + lane] = found[i], y[128 + i * 32 + lane] = turned[i];
}

extern "C" __global__ void __launch_bounds__(32)
probe_zeros(const uint8* __restrict__ x, uint8* __restrict__ y) {  // (3, 16); (3, 32, 16)
  unsigned char* const held = dynamic_shared();
  const int lane = threadIdx.x, other = (lane + 1) % 32;
  const auto give = [&](int group) {
    __syncthreads();
    for (int i = 0; i < 16; ++i) y[(group * 32 + other) * 16 + i] = held[(group * 32 + other) * 16 + i];
  };
  for (int group = 0; group < 3; ++group) {
    copy_async_or_zeros(held + (group * 32 + lane) * 16, x + group * 16, lane % 17);
    commit_copies();
  }
  await_copies_but<2>();
  give(0);
  await_copies_but<1>();
  give(1);
  await_copies_but<0>();
  give(2);
}

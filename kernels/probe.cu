// Whether the instructions of ptx.cuh do on a GPU what stands beside them in plain C++: on that rests everything that
// was found out on a CPU.
//
//   probe_rounding   wrong = for how many floats, and halves, an instruction's result is not the plain one
//   probe_copies     y = x, three times: by way of shared memory, by copies of 4, of 8 and of 16 bytes
//
// In probe_rounding a thread has one float, that of the bits first + i: four launches of 2^30 threads see them all. In
// probe_copies a thread copies four words in each of the three sizes, and writes what its neighbour has copied.
//
// Memory: none to speak of; 64 bytes a thread.
//
// Versions: this file, plain.
#include "types.cuh"

enum Wrong { TO_FLOAT16, TO_BFLOAT16, FROM_FLOAT16, TO_TF32 };

static __device__ inline bool same(float a, float b) {
  return __float_as_uint(a) == __float_as_uint(b) || (a != a && b != b);
}

extern "C" __global__ void __launch_bounds__(THREADS)
probe_rounding(int* __restrict__ wrong, uint32 first, int count) {
  const int i = element();
  if (i >= count) return;
  const uint32 bits = first + uint32(i);
  const float x = __uint_as_float(bits);
  const uint16 half = uint16(bits);
  if (float_to_float16(x) != plain_float_to_float16(x)) atomicAdd(wrong + TO_FLOAT16, 1);
  if (float_to_bfloat16(x) != plain_float_to_bfloat16(x)) atomicAdd(wrong + TO_BFLOAT16, 1);
  if (!same(float16_to_float(half), plain_float16_to_float(half))) atomicAdd(wrong + FROM_FLOAT16, 1);
  const uint32 looked_at = 0xffffe000u;  // by tensor cores
  if (!same(__uint_as_float(float_to_tf32(x) & looked_at), __uint_as_float(plain_float_to_tf32(x) & looked_at)))
    atomicAdd(wrong + TO_TF32, 1);
}

struct alignas(16) FourWords {
  uint32 of[4];
};

// Brings this thread's four words to shared memory in parts of so many bytes; without such copies, one by one.
template <int BYTES>
static __device__ void bring(FourWords* to, const FourWords* from) {
#pragma unroll
  for (int i = 0; i < 4; i += BYTES / 4)
    if (ASYNC_COPIES) copy_async<BYTES>(to->of + i, from->of + i);
    else
      for (int j = i; j < i + BYTES / 4; ++j) to->of[j] = from->of[j];
}

extern "C" __global__ void __launch_bounds__(THREADS)
probe_copies(const uint32* __restrict__ x, uint32* __restrict__ y) {  // (blocks, THREADS, 4), (3, blocks, ...)
  __shared__ FourWords held[3][THREADS];
  const int t = threadIdx.x, other = (t + 1) % THREADS, start = blockIdx.x * THREADS;
  const FourWords* own = reinterpret_cast<const FourWords*>(x) + start + t;
  bring<4>(&held[0][t], own), bring<8>(&held[1][t], own), bring<16>(&held[2][t], own);
  await_copies();
  __syncthreads();
  for (int size = 0; size < 3; ++size)
    reinterpret_cast<FourWords*>(y)[size * gridDim.x * THREADS + start + other] = held[size][other];
}

// compiled for: float32 float16 bfloat16; from sm_80 on
#include "conv2d_mma.cuh"

extern "C" __global__ void __launch_bounds__(256, 1)
mma_forward_256_128(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                    T* __restrict__ y, Window g) {
  mma_forward<Mma<256, 128, 64, 64, 1>>(x, w, b, y, g);
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_forward_128_128(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                    T* __restrict__ y, Window g) {
  mma_forward<Mma<128, 128, 64, 64, 1>>(x, w, b, y, g);
}

extern "C" __global__ void __launch_bounds__(256, 1)
mma_forward_256_64(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                   T* __restrict__ y, Window g) {
  mma_forward<Mma<256, 64, 64, 32, 1>>(x, w, b, y, g);
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_forward_128_64(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                   T* __restrict__ y, Window g) {
  mma_forward<Mma<128, 64, 64, 32, 1>>(x, w, b, y, g);
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_forward_64_64(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                  T* __restrict__ y, Window g) {
  mma_forward<Mma<64, 64, 32, 32, 1>>(x, w, b, y, g);
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_forward_128_32(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                   T* __restrict__ y, Window g) {
  mma_forward<Mma<128, 32, 32, 32, 1>>(x, w, b, y, g);
}

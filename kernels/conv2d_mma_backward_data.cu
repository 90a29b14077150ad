// compiled for: float32 float16 bfloat16; from sm_80 on
#include "conv2d_mma.cuh"

extern "C" __global__ void __launch_bounds__(256, 1)
mma_backward_data_256_128(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx, Window g) {
  mma_backward_data<Mma<256, 128, 64, 64, 1>>(dy, w, dx, g);
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_backward_data_128_128(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx, Window g) {
  mma_backward_data<Mma<128, 128, 64, 64, 1>>(dy, w, dx, g);
}

extern "C" __global__ void __launch_bounds__(256, 1)
mma_backward_data_256_64(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx, Window g) {
  mma_backward_data<Mma<256, 64, 64, 32, 1>>(dy, w, dx, g);
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_backward_data_128_64(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx, Window g) {
  mma_backward_data<Mma<128, 64, 64, 32, 1>>(dy, w, dx, g);
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_backward_data_64_64(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx, Window g) {
  mma_backward_data<Mma<64, 64, 32, 32, 1>>(dy, w, dx, g);
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_backward_data_128_32(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx, Window g) {
  mma_backward_data<Mma<128, 32, 32, 32, 1>>(dy, w, dx, g);
}

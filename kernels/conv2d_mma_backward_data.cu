// compiled for: float32 float16 bfloat16; from sm_80 on
// Convolution backward data on tensor cores: dx = sum of dy w, for each phase of the stride, as the matrix product of
// conv2d_tiled.cu's table; and z, if it is there, is added.
//
// A block computes a tile of M x N elements, the numbers in the kernels' names, and a thread its share of a warp's
// sums: mma.cuh tells how, and conv2d_mma.cuh where x, w and dy stand. Halves are multiplied as they are, float32 is
// rounded to TF32.
//
// Memory: a tile reads M + N elements for M * N multiplications: 16 bytes at a time where a group's channels and
// outputs are multiples of so many and arrays start on 16 bytes, else one by one, many times slower. It writes dx once.
//
// Versions: conv2d.cu, plain; conv2d_tiled.cu, tiled; this file, on tensor cores.
#include "conv2d_mma.cuh"

extern "C" __global__ void __launch_bounds__(256, 1)
mma_backward_data_256_128(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                          T* __restrict__ dx, Window g) {
  mma_backward_data<Mma<256, 128, 64, 64, 1>>(dy, w, z, dx, g);
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_backward_data_128_128(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                          T* __restrict__ dx, Window g) {
  mma_backward_data<Mma<128, 128, 64, 64, 1>>(dy, w, z, dx, g);
}

extern "C" __global__ void __launch_bounds__(256, 1)
mma_backward_data_256_64(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                         T* __restrict__ dx, Window g) {
  mma_backward_data<Mma<256, 64, 64, 32, 1>>(dy, w, z, dx, g);
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_backward_data_128_64(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                         T* __restrict__ dx, Window g) {
  mma_backward_data<Mma<128, 64, 64, 32, 1>>(dy, w, z, dx, g);
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_backward_data_64_64(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                        T* __restrict__ dx, Window g) {
  mma_backward_data<Mma<64, 64, 32, 32, 1>>(dy, w, z, dx, g);
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_backward_data_128_32(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                         T* __restrict__ dx, Window g) {
  mma_backward_data<Mma<128, 32, 32, 32, 1>>(dy, w, z, dx, g);
}

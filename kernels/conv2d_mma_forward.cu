// compiled for: float32 float16 bfloat16; from sm_80 on
// Convolution forward on tensor cores: y = sum of x w, as the matrix product of conv2d_tiled.cu's table.
//
// A block computes a tile of M x N elements, the numbers in the kernels' names, and a thread its share of a warp's
// sums: mma.cuh tells how, and conv2d_mma.cuh where x, w and dy stand. Halves are multiplied as they are, float32 is
// rounded to TF32. Ends and moments are as in conv2d_tiled.cu.
//
// Memory: a tile reads M + N elements for M * N multiplications: 16 bytes at a time where a group's channels and
// outputs are multiples of so many and arrays start on 16 bytes, else one by one, many times slower. It writes y once.
//
// Versions: conv2d.cu, plain; conv2d_tiled.cu, tiled; this file, on tensor cores.
#include "conv2d_mma.cuh"

extern "C" __global__ void __launch_bounds__(256, 1)
mma_forward_256_128(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                    T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                    const Acc* __restrict__ scale /* or null */, const Acc* __restrict__ shift /* or null */,
                    int function, Acc a, Acc* __restrict__ means /* or null */,
                    Acc* __restrict__ squares /* or null */) {
  mma_forward<Mma<256, 128, 64, 64, 1>>(x, w, b, y, g, {z, scale, shift, function, a}, {means, squares});
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_forward_128_128(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                    T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                    const Acc* __restrict__ scale /* or null */, const Acc* __restrict__ shift /* or null */,
                    int function, Acc a, Acc* __restrict__ means /* or null */,
                    Acc* __restrict__ squares /* or null */) {
  mma_forward<Mma<128, 128, 64, 64, 1>>(x, w, b, y, g, {z, scale, shift, function, a}, {means, squares});
}

extern "C" __global__ void __launch_bounds__(256, 1)
mma_forward_256_64(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                   T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                   const Acc* __restrict__ scale /* or null */, const Acc* __restrict__ shift /* or null */,
                   int function, Acc a, Acc* __restrict__ means /* or null */,
                   Acc* __restrict__ squares /* or null */) {
  mma_forward<Mma<256, 64, 64, 32, 1>>(x, w, b, y, g, {z, scale, shift, function, a}, {means, squares});
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_forward_128_64(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                   T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                   const Acc* __restrict__ scale /* or null */, const Acc* __restrict__ shift /* or null */,
                   int function, Acc a, Acc* __restrict__ means /* or null */,
                   Acc* __restrict__ squares /* or null */) {
  mma_forward<Mma<128, 64, 64, 32, 1>>(x, w, b, y, g, {z, scale, shift, function, a}, {means, squares});
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_forward_64_64(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                  T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                  const Acc* __restrict__ scale /* or null */, const Acc* __restrict__ shift /* or null */,
                  int function, Acc a, Acc* __restrict__ means /* or null */,
                  Acc* __restrict__ squares /* or null */) {
  mma_forward<Mma<64, 64, 32, 32, 1>>(x, w, b, y, g, {z, scale, shift, function, a}, {means, squares});
}

extern "C" __global__ void __launch_bounds__(128, 1)
mma_forward_128_32(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                   T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                   const Acc* __restrict__ scale /* or null */, const Acc* __restrict__ shift /* or null */,
                   int function, Acc a, Acc* __restrict__ means /* or null */,
                   Acc* __restrict__ squares /* or null */) {
  mma_forward<Mma<128, 32, 32, 32, 1>>(x, w, b, y, g, {z, scale, shift, function, a}, {means, squares});
}

// Dropout: y = x mask, where mask is 0 with probability `rate` and `scale` = 1 / (1 - rate) otherwise.
//
//   mask[i] = scale where u_i >= rate, else 0        u = gpucnn.random.Stream(seed, purpose, step).uniform(x.shape)
//
// A thread draws the four words of one Philox counter ((start+i)/4, 0, step, purpose) and computes the elements that
// they stand for, four at most. start: where in the stream x begins, for a part of a batch. now: holds the step, in
// place of `step`, where steps are queued ahead. The gradient is dy mask.
//
// Memory: forward reads x and writes y and the mask; backward reads dy and the mask and writes dx.
//
// Versions: this file, plain.
#include "philox.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
dropout_forward(const T* __restrict__ x, T* __restrict__ y, T* __restrict__ mask, int count, float rate, Acc scale,
                uint32 seed_low, uint32 seed_high, uint32 step, uint32 purpose, int64 start,
                const int* __restrict__ now /* or null */) {
  const int block = element(), shift = int(start % 4);  // the first block may begin before x does
  if (block >= (shift + count + 3) / 4) return;
  const Words drawn = philox({{uint32(start / 4 + block), 0, now ? uint32(*now) : step, purpose}}, seed_low, seed_high);
  for (int j = 0; j < 4; ++j) {
    const int i = 4 * block + j - shift;
    if (i < 0 || i >= count) continue;
    const Acc factor = uniform(drawn.word[j]) >= rate ? scale : Acc(0);
    mask[i] = T(factor), y[i] = T(Acc(x[i]) * factor);
  }
}

extern "C" __global__ void __launch_bounds__(THREADS)
dropout_backward(const T* __restrict__ dy, const T* __restrict__ mask, T* __restrict__ dx, int count) {
  const int i = element();
  if (i < count) dx[i] = T(Acc(dy[i]) * Acc(mask[i]));
}

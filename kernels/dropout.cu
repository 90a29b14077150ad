// Dropout: y = x m, where m is 0 with probability `rate` and `scale` = 1 / (1 - rate) otherwise.
//
//   kept[i] = u_i >= rate        u = gpucnn.random.Stream(seed, purpose, step).uniform(x.shape)
//
// A thread draws the four words of one Philox counter ((start+i)/4, 0, step, purpose) and computes the elements that
// they stand for, four at most. start: where in the stream x begins, for a part of a batch. now: holds the step, in
// place of `step`, where steps are queued ahead. The gradient is dy m.
//
// Memory: forward reads x and writes y and a byte, `kept`; backward reads dy and the byte and writes dx.
//
// Versions: this file, plain.
#include "philox.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
dropout_forward(const T* __restrict__ x, T* __restrict__ y, uint8* __restrict__ kept, int count, float rate, Acc scale,
                uint32 seed_low, uint32 seed_high, uint32 step, uint32 purpose, int64 start,
                const int* __restrict__ now /* or null */) {
  const int block = element(), shift = int(start % 4);  // the first block may begin before x does
  if (block >= (shift + count + 3) / 4) return;
  const uint32 at = now ? uint32(*now) : step;
  const Words drawn = philox({{uint32(start / 4 + block), 0, at, purpose}}, seed_low, seed_high);
  for (int j = 0; j < 4; ++j) {
    const int i = 4 * block + j - shift;
    if (i < 0 || i >= count) continue;
    kept[i] = uniform(drawn.word[j]) >= rate;
    y[i] = T(Acc(x[i]) * (kept[i] ? scale : Acc(0)));
  }
}

extern "C" __global__ void __launch_bounds__(THREADS)
dropout_backward(const T* __restrict__ dy, const uint8* __restrict__ kept, T* __restrict__ dx, int count, Acc scale) {
  const int i = element();
  if (i < count) dx[i] = T(Acc(dy[i]) * (kept[i] ? scale : Acc(0)));
}

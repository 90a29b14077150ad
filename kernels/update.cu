// Optimizers: weights and what is remembered of them, updated in place: all arrays of a network by one launch.
//
//   SGD    g = g + decay w     v = momentum v + g     w = w - lr v, or w - lr (g + momentum v) with Nesterov's momentum
//   Adam   g = g + decay w     m = beta1 m + (1 - beta1) g     s = beta2 s + (1 - beta2) g^2
//          w = w - rate m / (sqrt(s) / root + eps)       rate = lr / (1 - beta1^t)     root = sqrt(1 - beta2^t)
//   AdamW  w = keep w before a step of Adam without decay                  keep = 1 - lr decay, and 1 for Adam
//   Adagrad   g = g + decay w     s = s + g^2     w = w - lr g / (sqrt(s) + eps)
//
// lr, rate, root and keep are of the step and come from the host, in double precision before they are rounded; where
// steps are queued ahead, `numbers` holds lr, or rate, root and keep. skip: where it is not 0, nothing is changed.
// unscale: what gradients are divided by first, a power of two.
//
// values, grads, ...: the addresses of the arrays. A block has a chunk of one array, whose flag says whether weight
// decay applies, and a thread every 256th element of it.
//
// Memory: limited by it. SGD reads w, g and v and writes w and v; Adam reads four arrays and writes three,
// Adagrad three and two.
//
// Versions: this file, plain.
#include "chunks.cuh"

// What gradients are multiplied by: exactly 1 / scale, a power of two, where the loss was multiplied by that.
static __device__ inline Acc factor_of(const float* scale) { return scale ? Acc(1) / Acc(*scale) : Acc(1); }

extern "C" __global__ void __launch_bounds__(THREADS)
sgd_update(T* const* __restrict__ values, const T* const* __restrict__ grads,
           T* const* __restrict__ velocities /* or null */, const int* __restrict__ chunks, Acc lr, Acc momentum,
           Acc decay, int nesterov, const Acc* __restrict__ numbers /* or null */,
           const int* __restrict__ skip /* or null */, const float* __restrict__ unscale /* or null */) {
  if (skip && *skip) return;
  const Chunk chunk(chunks);
  T* __restrict__ value = values[chunk.array];
  const T* __restrict__ grad = grads[chunk.array];
  const Acc factor = factor_of(unscale);
  T* __restrict__ velocity = velocities ? velocities[chunk.array] : nullptr;
  const Acc rate = chunk.flag ? decay : Acc(0), length = numbers ? *numbers : lr;
  for (int i = chunk.begin + threadIdx.x; i < chunk.end; i += THREADS) {
    const Acc w = value[i], g = Acc(grad[i]) * factor + rate * w;
    Acc change = g;
    if (velocity) {  // with momentum
      const Acc v = momentum * Acc(velocity[i]) + g;
      velocity[i] = T(v);
      change = nesterov ? g + momentum * v : v;
    }
    value[i] = T(w - length * change);
  }
}

extern "C" __global__ void __launch_bounds__(THREADS)
adam_update(T* const* __restrict__ values, const T* const* __restrict__ grads, T* const* __restrict__ means,
            T* const* __restrict__ squares, const int* __restrict__ chunks, Acc rate, Acc root, Acc beta1, Acc rest1,
            Acc beta2, Acc rest2, Acc eps, Acc decay, Acc keep,
            const Acc* __restrict__ numbers /* or null */, const int* __restrict__ skip /* or null */,
            const float* __restrict__ unscale /* or null */) {
  if (skip && *skip) return;
  if (numbers) rate = numbers[0], root = numbers[1], keep = numbers[2];
  const Chunk chunk(chunks);
  T *__restrict__ value = values[chunk.array], *__restrict__ mean = means[chunk.array];
  T* __restrict__ square = squares[chunk.array];
  const T* __restrict__ grad = grads[chunk.array];
  const Acc factor = factor_of(unscale);
  const Acc kept = chunk.flag ? keep : Acc(1), added = chunk.flag ? decay : Acc(0);
  for (int i = chunk.begin + threadIdx.x; i < chunk.end; i += THREADS) {
    const Acc w = kept * Acc(value[i]), g = Acc(grad[i]) * factor + added * w;
    const Acc m = beta1 * Acc(mean[i]) + rest1 * g, s = beta2 * Acc(square[i]) + rest2 * g * g;
    mean[i] = T(m), square[i] = T(s);
    value[i] = T(w - rate * m / (sqrt(s) / root + eps));
  }
}

extern "C" __global__ void __launch_bounds__(THREADS)
adagrad_update(T* const* __restrict__ values, const T* const* __restrict__ grads, T* const* __restrict__ squares,
               const int* __restrict__ chunks, Acc lr, Acc eps, Acc decay,
               const Acc* __restrict__ numbers /* or null */, const int* __restrict__ skip /* or null */,
               const float* __restrict__ unscale /* or null */) {
  if (skip && *skip) return;
  const Chunk chunk(chunks);
  T *__restrict__ value = values[chunk.array], *__restrict__ square = squares[chunk.array];
  const T* __restrict__ grad = grads[chunk.array];
  const Acc factor = factor_of(unscale);
  const Acc added = chunk.flag ? decay : Acc(0), length = numbers ? *numbers : lr;
  for (int i = chunk.begin + threadIdx.x; i < chunk.end; i += THREADS) {
    const Acc w = value[i], g = Acc(grad[i]) * factor + added * w, s = Acc(square[i]) + g * g;
    square[i] = T(s);
    value[i] = T(w - length * g / (sqrt(s) + eps));
  }
}

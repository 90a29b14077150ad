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
// Weights and what is remembered are Acc: a half would lose most steps. copies: in a network of halves, each weight's
// copy of type T, which its operations read, or null; it is written beside the weight that it is rounded from.
//
// values, grads, ...: the addresses of the arrays. A block has a chunk of one array, whose flag says whether weight
// decay applies, and a thread every 256th element of it.
//
// Memory: limited by it. SGD reads w, g and v and writes w and v; Adam reads four arrays and writes three,
// Adagrad three and two. A copy is written and not read.
//
// Versions: this file, plain.
#include "chunks.cuh"

// What gradients are multiplied by: exactly 1 / scale, a power of two, where the loss was multiplied by that.
static __device__ inline Acc factor_of(const float* scale) { return scale ? Acc(1) / Acc(*scale) : Acc(1); }

static __device__ inline T* copy_of(T* const* copies, const Chunk& chunk) {
  return copies ? copies[chunk.array] : nullptr;
}

// Stores weight i, and its copy where it has one.
static __device__ inline void put(Acc* value, T* copy, int i, Acc w) {
  value[i] = w;
  if (copy) copy[i] = T(w);
}

extern "C" __global__ void __launch_bounds__(THREADS)
sgd_update(Acc* const* __restrict__ values, const Acc* const* __restrict__ grads,
           Acc* const* __restrict__ velocities /* or null */, const int* __restrict__ chunks, Acc lr, Acc momentum,
           Acc decay, int nesterov, const Acc* __restrict__ numbers /* or null */,
           const int* __restrict__ skip /* or null */, const float* __restrict__ unscale /* or null */,
           T* const* __restrict__ copies /* or null */) {
  if (skip && *skip) return;
  const Chunk chunk(chunks);
  Acc* __restrict__ value = values[chunk.array];
  T* __restrict__ copy = copy_of(copies, chunk);
  const Acc* __restrict__ grad = grads[chunk.array];
  const Acc factor = factor_of(unscale);
  Acc* __restrict__ velocity = velocities ? velocities[chunk.array] : nullptr;
  const Acc rate = chunk.flag ? decay : Acc(0), length = numbers ? *numbers : lr;
  for (int i = chunk.begin + threadIdx.x; i < chunk.end; i += THREADS) {
    const Acc w = value[i], g = grad[i] * factor + rate * w;
    Acc change = g;
    if (velocity) {  // with momentum
      const Acc v = momentum * velocity[i] + g;
      velocity[i] = v;
      change = nesterov ? g + momentum * v : v;
    }
    put(value, copy, i, w - length * change);
  }
}

extern "C" __global__ void __launch_bounds__(THREADS)
adam_update(Acc* const* __restrict__ values, const Acc* const* __restrict__ grads, Acc* const* __restrict__ means,
            Acc* const* __restrict__ squares, const int* __restrict__ chunks, Acc rate, Acc root, Acc beta1, Acc rest1,
            Acc beta2, Acc rest2, Acc eps, Acc decay, Acc keep,
            const Acc* __restrict__ numbers /* or null */, const int* __restrict__ skip /* or null */,
            const float* __restrict__ unscale /* or null */, T* const* __restrict__ copies /* or null */) {
  if (skip && *skip) return;
  if (numbers) rate = numbers[0], root = numbers[1], keep = numbers[2];
  const Chunk chunk(chunks);
  Acc* __restrict__ value = values[chunk.array];
  T* __restrict__ copy = copy_of(copies, chunk);
  Acc *__restrict__ mean = means[chunk.array], *__restrict__ square = squares[chunk.array];
  const Acc* __restrict__ grad = grads[chunk.array];
  const Acc factor = factor_of(unscale);
  const Acc kept = chunk.flag ? keep : Acc(1), added = chunk.flag ? decay : Acc(0);
  for (int i = chunk.begin + threadIdx.x; i < chunk.end; i += THREADS) {
    const Acc w = kept * value[i], g = grad[i] * factor + added * w;
    const Acc m = beta1 * mean[i] + rest1 * g, s = beta2 * square[i] + rest2 * g * g;
    mean[i] = m, square[i] = s;
    put(value, copy, i, w - rate * m / (sqrt(s) / root + eps));
  }
}

extern "C" __global__ void __launch_bounds__(THREADS)
adagrad_update(Acc* const* __restrict__ values, const Acc* const* __restrict__ grads, Acc* const* __restrict__ squares,
               const int* __restrict__ chunks, Acc lr, Acc eps, Acc decay,
               const Acc* __restrict__ numbers /* or null */, const int* __restrict__ skip /* or null */,
               const float* __restrict__ unscale /* or null */, T* const* __restrict__ copies /* or null */) {
  if (skip && *skip) return;
  const Chunk chunk(chunks);
  Acc* __restrict__ value = values[chunk.array];
  T* __restrict__ copy = copy_of(copies, chunk);
  Acc* __restrict__ square = squares[chunk.array];
  const Acc* __restrict__ grad = grads[chunk.array];
  const Acc factor = factor_of(unscale);
  const Acc added = chunk.flag ? decay : Acc(0), length = numbers ? *numbers : lr;
  for (int i = chunk.begin + threadIdx.x; i < chunk.end; i += THREADS) {
    const Acc w = value[i], g = grad[i] * factor + added * w, s = square[i] + g * g;
    square[i] = s;
    put(value, copy, i, w - length * g / (sqrt(s) + eps));
  }
}

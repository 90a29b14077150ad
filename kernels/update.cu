// Optimizers: weights and what is remembered of them, updated in place, one thread an element.
//
//   SGD    g = g + decay w     v = momentum v + g     w = w - lr v, or w - lr (g + momentum v) with Nesterov's momentum
//   Adam   g = g + decay w     m = beta1 m + (1 - beta1) g     s = beta2 s + (1 - beta2) g^2
//          w = w - rate m / (sqrt(s) / root + eps)       rate = lr / (1 - beta1^t)     root = sqrt(1 - beta2^t)
//   AdamW  w = keep w before a step of Adam without decay                  keep = 1 - lr decay, and 1 for Adam
//
// rate, root and keep are of the step and come from the host, in double precision before they are rounded.
//
// Memory: limited by it. SGD reads w, g and v and writes w and v; Adam reads four arrays and writes three.
//
// Versions: this file, plain: a launch for each parameter.
#include "types.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
sgd_update(T* __restrict__ value, const T* __restrict__ grad, T* __restrict__ velocity /* or null */, int count, Acc lr,
           Acc momentum, Acc decay, int nesterov) {
  const int i = element();
  if (i >= count) return;
  const Acc w = value[i], g = Acc(grad[i]) + decay * w;
  Acc change = g;
  if (velocity) {  // with momentum
    const Acc v = momentum * Acc(velocity[i]) + g;
    velocity[i] = T(v);
    change = nesterov ? g + momentum * v : v;
  }
  value[i] = T(w - lr * change);
}

extern "C" __global__ void __launch_bounds__(THREADS)
adam_update(T* __restrict__ value, const T* __restrict__ grad, T* __restrict__ mean, T* __restrict__ square, int count,
            Acc rate, Acc root, Acc beta1, Acc rest1, Acc beta2, Acc rest2, Acc eps, Acc decay, Acc keep) {
  const int i = element();
  if (i >= count) return;
  const Acc w = keep * Acc(value[i]), g = Acc(grad[i]) + decay * w;
  const Acc m = beta1 * Acc(mean[i]) + rest1 * g, s = beta2 * Acc(square[i]) + rest2 * g * g;
  mean[i] = T(m), square[i] = T(s);
  value[i] = T(w - rate * m / (sqrt(s) / root + eps));
}

// The scale of a loss, after a step: halved where an element of the gradients was not finite, doubled after `growth`
// good steps in a row.
//
//   found > 0                  scale = scale / 2       good = 0       skipped = skipped + 1
//   good + 1 < growth          good = good + 1
//   otherwise                  scale = 2 scale         good = 0
//
// counts: good, skipped. stopped: nothing changes where it is not 0, as behind a step whose loss was not finite. One
// thread of one block does it all, so that no step has to wait for the host.
//
// Memory: 16 bytes read, 12 written.
//
// Versions: this file, plain.
#include "types.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
adapt_loss_scale(float* __restrict__ scale, int* __restrict__ counts, const int* __restrict__ found,
                 const int* __restrict__ stopped /* or null */, int growth) {
  if (element() > 0 || (stopped && *stopped)) return;
  if (*found) {
    *scale *= 0.5f, counts[0] = 0, counts[1] += 1;
  } else if (counts[0] + 1 < growth) {
    counts[0] += 1;
  } else {
    *scale *= 2.0f, counts[0] = 0;
  }
}

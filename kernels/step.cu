// What ends the gradients of a step that nobody on the host waits for: is it taken, what was its loss, which one is next.
//
//   counters   step of the run, row of the page, batch of those on the device, skip
//   page       of each row what the host knows ahead, `width` numbers for the update, and what it reads later: the loss,
//              and how many images were classified right
//
// Where an element of the loss or of a gradient is not finite, skip is set, and stays: the update that follows, and all
// that are queued behind it, change nothing. Else the row is filled in, its numbers are laid out for the update, and the
// counters go on to the next step; after the last row of the page comes its first. One thread does it.
//
// Memory: some hundred bytes.
//
// Versions: this file, plain.
#include "types.cuh"

enum StepCounter { STEP, ROW, BATCH, SKIP };

extern "C" __global__ void __launch_bounds__(THREADS)
finish_step(const int* __restrict__ nonfinite, const T* __restrict__ loss, const int* __restrict__ correct,
            const Acc* __restrict__ page, int* __restrict__ counters, Acc* __restrict__ numbers,
            T* __restrict__ losses, int* __restrict__ corrects, int width, int rows) {
  if (element() != 0) return;
  if (*nonfinite) counters[SKIP] = 1;
  if (counters[SKIP]) return;
  const int row = counters[ROW];
  losses[row] = *loss, corrects[row] = *correct;
  for (int i = 0; i < width; ++i) numbers[i] = page[row * width + i];
  ++counters[STEP], ++counters[BATCH];
  counters[ROW] = row + 1 < rows ? row + 1 : 0;
}

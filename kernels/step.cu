// What ends the gradients of a step that is queued ahead: is it taken, what was its loss, and which one is next.
//
//   skip = 1 where an element of the loss or of a gradient is not finite
//   else losses[row] = loss, corrects[row] = correct, numbers = page[row], and step, row and batch go on by 1
//
//   counters   step of the run, row of the page, batch of those on the device, skip
//   page       what the host knows ahead of each row's step: `width` numbers that its update takes
//   losses, corrects   what the host reads later of each row: the loss, and how many images were classified right
//
// skip stays: the update that follows, and all that are queued behind it, change nothing. After the last row of the
// page comes its first. One thread does it.
//
// Memory: some hundred bytes.
//
// Versions: this file, plain.
#include "types.cuh"

enum StepCounter { STEP_NUMBER, ROW, BATCH, SKIP };

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
  ++counters[STEP_NUMBER], ++counters[BATCH];
  counters[ROW] = row + 1 < rows ? row + 1 : 0;
}

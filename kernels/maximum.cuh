// The maximum of a window of an image, shared by pooling and by what is computed together with it.
#pragma once
#include "window.cuh"

struct Maximum {
  Acc value;
  int tap;  // r*S + s of the first one; R*S where no gradient goes back
};

// Returns the largest value_of(pixel) in the window of an output; NaN where there is one; with relu, 0 at least.
template <class ValueOf>
static __device__ Maximum maximum(const Window& g, const Place& out, bool relu, ValueOf value_of) {
  Maximum best = {-infinity(), -1};
  visit_inputs(g, out, [&](int pixel, int tap) {
    const Acc v = value_of(pixel);
    if (v > best.value || best.tap < 0) best = {v, tap};
    if (v != v) best = {v, g.R * g.S};  // from here on no comparison is true: NaN stays
  });
  if (relu && best.value <= 0) best = {0, g.R * g.S};
  return best;
}

// Returns what goes back to an input: the sum of dy of the windows whose maximum it was, in order of taps.
template <class Index>
static __device__ Acc given_back(const T* dy, const Index* index, const Window& g, const Place& in) {
  Acc sum = 0;
  visit_outputs(g, in, [&](int position, int tap) {
    const int from = position * g.C + in.channel;
    if (int(index[from]) == tap) sum += Acc(dy[from]);
  });
  return sum;
}

// An element as batch normalisation makes it. scale: gamma inverse.
#pragma once
#include "types.cuh"

static __device__ inline Acc normalised(Acc x, Acc mean, Acc scale, Acc beta) { return fma(x - mean, scale, beta); }

// The activations by number, for the kernels that compute them alone (activation.cu) and for those that end with one.
#pragma once
#include "types.cuh"

enum Function { RELU, LEAKY_RELU, SIGMOID, TANH, SCALED_TANH, SOFTPLUS, ELU, GELU, SILU };

#define TANH_A Acc(1.7159)
#define TANH_B (Acc(2) / Acc(3))

static __device__ inline Acc sigmoid(Acc x) { return Acc(0.5) * (Acc(1) + tanh(Acc(0.5) * x)); }
static __device__ inline Acc normal_cdf(Acc x) { return Acc(0.5) * (Acc(1) + erf(x * Acc(0.7071067811865476))); }
static __device__ inline Acc normal_density(Acc x) { return exp(Acc(-0.5) * x * x) * Acc(0.3989422804014327); }

// The activation of x; a: the number that leaky_relu and elu take.
static __device__ inline Acc activated(int function, Acc a, Acc x) {
  switch (function) {
    case RELU: return x < 0 ? Acc(0) : x;  // in this order a NaN stays one
    case LEAKY_RELU: return x > 0 ? x : a * x;
    case SIGMOID: return sigmoid(x);
    case TANH: return tanh(x);
    case SCALED_TANH: return TANH_A * tanh(TANH_B * x);
    case SOFTPLUS: return (x < 0 ? Acc(0) : x) + log1p(exp(-fabs(x)));
    case ELU: return x > 0 ? x : a * expm1(x);
    case GELU: return x * normal_cdf(x);
    case SILU: return x * sigmoid(x);
    default: return x;
  }
}

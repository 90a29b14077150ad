// The activations by number, for the kernels that compute them alone (activation.cu) and for those that end with one;
// IDENTITY stands for none. a: the number that leaky_relu and elu take, which is not negative.
#pragma once
#include "types.cuh"

enum Function { IDENTITY = -1, RELU, LEAKY_RELU, SIGMOID, TANH, SCALED_TANH, SOFTPLUS, ELU, GELU, SILU };

#define TANH_A Acc(1.7159)
#define TANH_B (Acc(2) / Acc(3))

static __device__ inline Acc sigmoid(Acc x) { return Acc(0.5) * (Acc(1) + tanh(Acc(0.5) * x)); }
static __device__ inline Acc normal_cdf(Acc x) { return Acc(0.5) * (Acc(1) + erf(x * Acc(0.7071067811865476))); }
static __device__ inline Acc normal_density(Acc x) { return exp(Acc(-0.5) * x * x) * Acc(0.3989422804014327); }

// The activation of x.
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

// The derivative at x of the activation whose value there is y: of the two, only what it takes is read. But for
// softplus, gelu and silu, y may stand for x: it has its sign.
template <class V>
static __device__ inline Acc slope(int function, Acc a, const V& x, const V& y) {
  Acc v;
  switch (function) {
    case RELU: return Acc(y) > 0;
    case LEAKY_RELU: return Acc(x) > 0 ? Acc(1) : a;
    case SIGMOID: v = y; return v * (1 - v);
    case TANH: v = y; return 1 - v * v;
    case SCALED_TANH: v = y; return TANH_A * TANH_B - TANH_B / TANH_A * v * v;
    case SOFTPLUS: return sigmoid(x);
    case ELU: return Acc(x) > 0 ? Acc(1) : Acc(y) + a;
    case GELU: v = x; return normal_cdf(v) + v * normal_density(v);
    case SILU: v = sigmoid(x); return v + Acc(y) * (1 - v);
    default: return 1;
  }
}

// The same two for no activation, relu and leaky_relu alone, for kernels that compute many elements side by side: all
// of the functions for each of them would be too much of a kernel. x may be y.
static __device__ inline bool is_brief(int function) { return function <= LEAKY_RELU; }
static __device__ inline Acc briefly_activated(int function, Acc a, Acc x) {
  return function == IDENTITY || x > 0 ? x : function == RELU ? (x < 0 ? Acc(0) : x) : a * x;
}
static __device__ inline Acc brief_slope(int function, Acc a, Acc x) {
  return function == IDENTITY || x > 0 ? Acc(1) : function == RELU ? Acc(0) : a;
}

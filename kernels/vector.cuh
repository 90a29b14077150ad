// Neighbouring elements of an array, read and written 16 bytes at a time where they are aligned.
#pragma once
#include "types.cuh"

constexpr int WIDTH = sizeof(T) == 2 ? 8 : 4;  // elements that a thread takes at a time: 16 bytes, of double 32

template <class Element, int N>
struct alignas(N * sizeof(Element) < 16 ? N * sizeof(Element) : 16) Vector {
  Element of[N];
};
typedef Vector<T, WIDTH> Loaded;
typedef Vector<Acc, 4> Four;

template <class V>
static __device__ bool aligned(const void* p) {
  return (unsigned long long)p % alignof(V) == 0;
}

template <int N>
static __device__ Vector<T, N> load_vector(const T* from, bool whole) {
  if (whole) return *reinterpret_cast<const Vector<T, N>*>(from);
  Vector<T, N> found;
#pragma unroll
  for (int i = 0; i < N; ++i) found.of[i] = from[i];
  return found;
}

// N neighbours of an array, of which so many exist; zeros for the others.
template <class Element, int N>
static __device__ Vector<Element, N> load_some(const Element* from, int exist) {
  if (exist >= N && aligned<Vector<Element, N>>(from)) return *reinterpret_cast<const Vector<Element, N>*>(from);
  Vector<Element, N> found = {};
#pragma unroll
  for (int i = 0; i < N; ++i)
    if (i < exist) found.of[i] = from[i];
  return found;
}

// Writes as many of N neighbours as exist.
template <class Element, int N>
static __device__ void store_some(Element* to, const Vector<Element, N>& values, int exist) {
  if (exist >= N && aligned<Vector<Element, N>>(to)) {
    *reinterpret_cast<Vector<Element, N>*>(to) = values;
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i)
      if (i < exist) to[i] = values.of[i];
  }
}

template <int N>
static __device__ void store_vector(T* to, const Vector<T, N>& values, bool whole) {
  if (whole) {
    *reinterpret_cast<Vector<T, N>*>(to) = values;
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i) to[i] = values.of[i];
  }
}

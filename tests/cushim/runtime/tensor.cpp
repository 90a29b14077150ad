// Operations of whole warps on small matrices: products (mma) and loads of fragments (ldmatrix). All 32 lanes bring what
// they have; who comes last computes for all. g = lane / 4 and t = lane % 4, as in the tables of ptx.cuh.
//
// A product is taken as those who measured tensor cores found it (Fasi, Higham, Mikaitis, Pranesh, "Numerical behavior
// of NVIDIA tensor cores", 2021): the products are exact; the sum so far and four of them (eight of halves) are added at
// once, each cut off below the last place of the largest, and the result is cut off to 24 bits, not rounded. In k's
// order. Of a TF32 operand the last 13 bits are not looked at.
#include <math.h>

#include "state.h"

namespace {

constexpr int DEPTH = 16;  // most of k

struct Product {
  cushim_format format;
  uint32_t a[4], b[2];
  float* d;
};

struct Row {
  const char* address;
  uint32_t* into;
  bool turned;
};

float as_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

float float16(uint32_t half) {
  const uint32_t exponent = half >> 10 & 31, fraction = half & 1023;
  const float size = exponent == 31 ? as_float(0x7f800000u | fraction << 13)
                     : exponent     ? as_float((exponent + 112) << 23 | fraction << 13)
                                    : float(fraction) * 0x1p-24f;
  return half & 0x8000 ? -size : size;
}

// The element of a register: the whole of it for TF32, or one of its two halves.
float element(cushim_format format, uint32_t bits, int e) {
  const uint32_t half = bits >> 16 * e & 0xffff;
  return format == CUSHIM_TF32 ? as_float(bits & 0xffffe000u) : format == CUSHIM_BFLOAT16 ? as_float(half << 16) : float16(half);
}

// The sum of some numbers, cut off as described above; what is infinite or not a number is added as usual.
float cut_sum(const double* terms, int count) {
  double largest = 0, plain = 0;
  for (int i = 0; i < count; ++i) largest = fmax(largest, fabs(terms[i])), plain += terms[i];
  if (largest == 0 || !(fabs(plain) < INFINITY)) return float(plain);
  int exponent;
  frexp(largest, &exponent);
  const double unit = ldexp(1, exponent - 24), scale = ldexp(1, 24 - exponent);
  int64_t sum = 0;
  for (int i = 0; i < count; ++i) sum += int64_t(terms[i] * scale);
  int64_t last = 1;
  while (sum / last >= 1 << 24 || sum / last <= -(1 << 24)) last *= 2;
  return float(double(sum / last * last) * unit);
}

void multiply(void* const* lanes) {
  Product* const* of = reinterpret_cast<Product* const*>(lanes);
  const cushim_format format = of[0]->format;
  const int width = format == CUSHIM_TF32 ? 1 : 2, depth = 8 * width, block = 4 * width;
  float a[16][DEPTH], b[8][DEPTH];
  for (int lane = 0; lane < WARP; ++lane)
    for (int e = 0; e < width; ++e) {
      const int g = lane / 4, k = lane % 4 * width + e;
      for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][k + i / 2 * block] = element(format, of[lane]->a[i], e);
      for (int i = 0; i < 2; ++i) b[g][k + i * block] = element(format, of[lane]->b[i], e);
    }
  for (int lane = 0; lane < WARP; ++lane)
    for (int i = 0; i < 4; ++i) {
      float& sum = of[lane]->d[i];
      const float *row = a[lane / 4 + i / 2 * 8], *column = b[lane % 4 * 2 + i % 2];
      for (int k = 0; k < depth; k += block) {
        double terms[1 + DEPTH / 2] = {double(sum)};
        for (int j = 0; j < block; ++j) terms[1 + j] = double(row[k + j]) * double(column[k + j]);
        sum = cut_sum(terms, 1 + block);
      }
    }
}

void load(void* const* lanes) {
  Row* const* of = reinterpret_cast<Row* const*>(lanes);
  for (int lane = 0; lane < WARP; ++lane)
    for (int matrix = 0; matrix < 4; ++matrix) {
      uint16_t pair[2];
      for (int e = 0; e < 2; ++e) {
        const int row = lane / 4, column = lane % 4 * 2 + e, turned = of[lane]->turned;
        memcpy(&pair[e], of[matrix * 8 + (turned ? column : row)]->address + 2 * (turned ? row : column), 2);
      }
      of[lane]->into[matrix] = uint32_t(pair[1]) << 16 | pair[0];
    }
}

void together(void (*compute)(void* const*), void* own, const char* file, int line) {
  const uint64_t mine = reinterpret_cast<uint64_t>(own);
  state.together = compute;  // whoever comes last goes on to compute before another can change it
  cushim_exchange(CUSHIM_TOGETHER, 0xffffffffu, mine, 0, file, line);
}

}  // namespace

extern "C" void cushim_mma(cushim_format format, float* d, const uint32_t* a, const uint32_t* b, const char* file, int line) {
  Product product = {format, {a[0], a[1], a[2], a[3]}, {b[0], b[1]}, d};
  together(multiply, &product, file, line);
}

extern "C" void cushim_load_matrices(uint32_t* into, const void* address, bool turned, const char* file, int line) {
  Row row = {static_cast<const char*>(address), into, turned};
  if (uintptr_t(address) % 16 || !is_shared(address, 16)) {
    fail("load of matrices (%s:%d): a row is not 16 bytes of shared memory on a multiple of 16", file, line);
    give_up();
  }
  note_access(const_cast<char*>(row.address), 16, false, false, __builtin_return_address(0));
  together(load, &row, file, line);
}

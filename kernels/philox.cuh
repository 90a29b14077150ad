// Philox 4x32-10: random numbers as a function of a counter and a seed, the same bits as gpucnn/random.py.
//
// Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once
#include "types.cuh"

struct Words {
  uint32 word[4];
};

static __device__ inline Words philox(Words c, uint32 k0, uint32 k1) {
  for (int round = 0; round < 10; ++round) {
    const uint32 a = 0xD2511F53u, b = 0xCD9E8D57u;
    const uint32 first = __umulhi(a, c.word[0]), second = __umulhi(b, c.word[2]);
    c = {{second ^ c.word[1] ^ k0, b * c.word[2], first ^ c.word[3] ^ k1, a * c.word[0]}};
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return c;
}

// 24 random bits as a float in [0, 1).
static __device__ inline float uniform(uint32 word) { return float(word >> 8) * 5.9604644775390625e-8f; }

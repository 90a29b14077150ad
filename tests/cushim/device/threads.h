// What the threads of a block do together: barriers, votes, shuffles, atomics. The run time (runtime/) does the work;
// every call hands over where it stands, so that what goes wrong can be told by file and line.
#pragma once
#include <stdint.h>
#include <string.h>

struct cushim_size { unsigned x, y, z; };
struct cushim_thread { cushim_size thread, block, block_size, grid_size; };

enum cushim_vote { CUSHIM_SYNC, CUSHIM_COUNT, CUSHIM_OR, CUSHIM_AND };
enum cushim_shuffle { CUSHIM_INDEX, CUSHIM_UP, CUSHIM_DOWN, CUSHIM_XOR, CUSHIM_SYNCWARP, CUSHIM_TOGETHER };
enum cushim_format { CUSHIM_TF32, CUSHIM_FLOAT16, CUSHIM_BFLOAT16 };

extern "C" {
extern cushim_thread* cushim_current;
int cushim_barrier(cushim_vote vote, int predicate, const char* file, int line);
uint64_t cushim_exchange(cushim_shuffle kind, unsigned mask, uint64_t value, int by, const char* file, int line);
void cushim_atomic(void* address, unsigned size, void* place);
void cushim_copy_async(void* to, const void* from, int bytes, int there, const char* file, int line);
void cushim_commit_copies();
void cushim_await_copies(int groups_left);
void* cushim_dynamic_shared();
void cushim_mma(cushim_format format, float* d, const uint32_t* a, const uint32_t* b, const char* file, int line);
void cushim_load_matrices(uint32_t* into, const void* row, bool turned, const char* file, int line);
}

#define CUSHIM_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(CUSHIM_HERE) { cushim_barrier(CUSHIM_SYNC, 0, file, line); }
inline int __syncthreads_count(int p, CUSHIM_HERE) { return cushim_barrier(CUSHIM_COUNT, p != 0, file, line); }
inline int __syncthreads_or(int p, CUSHIM_HERE) { return cushim_barrier(CUSHIM_OR, p != 0, file, line); }
inline int __syncthreads_and(int p, CUSHIM_HERE) { return cushim_barrier(CUSHIM_AND, p != 0, file, line); }
inline void __syncwarp(unsigned mask = 0xffffffffu, CUSHIM_HERE) {
  cushim_exchange(CUSHIM_SYNCWARP, mask, 0, 0, file, line);
}

template <class T> T cushim_shuffled(cushim_shuffle kind, unsigned mask, T value, int by, const char* file, int line) {
  static_assert(sizeof(T) <= 8, "a shuffle moves up to 8 bytes");
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  bits = cushim_exchange(kind, mask, bits, by, file, line);
  memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T> T __shfl_sync(unsigned mask, T value, int lane, CUSHIM_HERE) {
  return cushim_shuffled(CUSHIM_INDEX, mask, value, lane, file, line);
}
template <class T> T __shfl_up_sync(unsigned mask, T value, int by, CUSHIM_HERE) {
  return cushim_shuffled(CUSHIM_UP, mask, value, by, file, line);
}
template <class T> T __shfl_down_sync(unsigned mask, T value, int by, CUSHIM_HERE) {
  return cushim_shuffled(CUSHIM_DOWN, mask, value, by, file, line);
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int by, CUSHIM_HERE) {
  return cushim_shuffled(CUSHIM_XOR, mask, value, by, file, line);
}

// One OS thread runs all threads of all blocks, so that a plain read, change and write is atomic; it is not instrumented,
// and told to the race checker as the atomic access that it is.
template <class T, class V> __attribute__((no_sanitize("thread"), noinline)) T atomicAdd(T* address, V value) {
  cushim_atomic(address, sizeof(T), __builtin_return_address(0));
  const T old = *address;
  *address = T(old + T(value));
  return old;
}

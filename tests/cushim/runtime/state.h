// What the parts of the run time share. One launch runs at a time, on one OS thread, one block after the other; each
// CUDA thread of the running block is a fibre, a stack of its own that is switched to and from.
#pragma once
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "../device/threads.h"

constexpr int MOST_THREADS = 1024, WARP = 32;

// What Python hands over of an array that a kernel may touch.
struct Region {
  char* base;
  uint64_t size;
  int granule;  // bytes that the race checker takes as one
  char name[52];
};

struct Launch {
  unsigned grid[3], block[3];
  uint64_t seed;
  char* shared;  // dynamic shared memory
  uint64_t shared_size;
  int order;  // of the enum below
  int races;  // whether the module is instrumented
  int regions_count;
  void** values;
  Region* regions;
  char* error;
  uint64_t error_size;
  void* error_places[2];
};

enum Order { FORWARD, REVERSE, WARPS };

struct Copy {  // bytes on their way into shared memory
  char *to, bytes[16];
  int size;
  unsigned group;  // how many groups its thread had committed when it was begun
  void* place;
  const char* file;
  int line;
};

enum Wait { READY, AT_BARRIER, AT_WARP, DONE };

struct Fibre {
  cushim_thread self;
  int number;
  char* stack;
  void* stack_pointer;
  Wait wait;
  uint64_t result;  // of what it waited at
  std::vector<Copy> copies;  // that it has begun and not awaited
  unsigned groups;           // of copies that it has committed
  const char* file;  // where it waits
  int line;
};

// One warp operation under way: who must come, who has, and what each brought.
struct Exchange {
  unsigned mask, arrived;
  cushim_shuffle kind;
  int by[WARP];
  uint64_t values[WARP];
  const char* file;
  int line;
};

struct Warp {
  Exchange exchange;
  uint32_t epoch;     // how many __syncwarp of all lanes have passed
  uint32_t priority;  // under Order WARPS: who runs first until the next barrier
};

struct Barrier {
  int waiting, result;
  cushim_vote vote;
  const char* file;
  int line;
};

struct State {
  Launch* launch;
  void* function;
  void (*call)(void*, void**);
  Fibre fibres[MOST_THREADS];
  Warp warps[MOST_THREADS / WARP];
  Barrier barrier;
  std::vector<int> ready;
  int threads, done;
  Fibre* current;
  void* scheduler;
  bool failed;
  uint32_t block, epoch;  // the running block, from 1, and how many barriers it has passed
  uint64_t random;
  char *shared, *dynamic;  // shared memory: the module's own, and what the launch adds
  size_t shared_size, dynamic_size;
  void (*together)(void* const* lanes);  // what the operation of a warp that is being called computes
  sigjmp_buf escape;
};

extern State state;

uint64_t draw();                                                             // a random number of the launch's seed
void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));   // only the first failure counts
[[noreturn]] void give_up();                                                 // leave the fibre, after `fail`
void to_scheduler();
void wake(Fibre& fibre);
bool run_block(unsigned x, unsigned y, unsigned z);  // false where it failed
void draw_priorities();
void check_copies();  // when a thread leaves
bool is_shared(const void* address, size_t size);

void watch_memory();  // before a launch: forget all accesses
void note_access(char* address, size_t size, bool write, bool atomic, void* place);
void catch_signals();
void release_signals();

// Fibres in place of threads: which runs next, and how a block is run to its end.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "state.h"

State state;
extern "C" {
cushim_thread* cushim_current;
}

namespace {

constexpr size_t STACK = 128 << 10, PAGE = 4096;

// Saves the registers that a function must keep, and the stack pointer, and goes on where the other fibre left off.
extern "C" void cushim_switch(void** save, void* load);
__asm__(
    ".text\n.globl cushim_switch\n.type cushim_switch,@function\ncushim_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
    ".size cushim_switch,.-cushim_switch\n");

void run_thread() {
  state.call(state.function, state.launch->values);
  check_copies();
  state.current->wait = DONE;
  state.done++;
  const Barrier& barrier = state.barrier;
  if (barrier.waiting) fail("a thread leaves while others wait at a barrier (%s:%d)", barrier.file, barrier.line);
  to_scheduler();
  abort();
}

void start(Fibre& fibre) {
  if (!fibre.stack) {  // the lowest page is a guard
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char* memory = static_cast<char*>(mmap(nullptr, STACK + PAGE, PROT_READ | PROT_WRITE, flags, -1, 0));
    if (memory == MAP_FAILED) abort();
    mprotect(memory, PAGE, PROT_NONE);
    fibre.stack = memory + PAGE;
  }
  void** top = reinterpret_cast<void**>(fibre.stack + STACK - 16);
  *--top = nullptr;  // the return address of run_thread, which never returns
  *--top = reinterpret_cast<void*>(run_thread);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  fibre.stack_pointer = top;
  fibre.copies.clear();
  fibre.groups = 0;
  fibre.wait = READY;
}

int choose() {  // an index into state.ready
  const std::vector<int>& ready = state.ready;
  if (state.launch->order == FORWARD) return 0;
  if (state.launch->order == REVERSE) return int(ready.size()) - 1;
  int best = 0, equals = 0;  // a random lane of the warp that has priority
  for (int i = 0; i < int(ready.size()); ++i) {
    const uint32_t mine = state.warps[ready[i] / WARP].priority, most = state.warps[ready[best] / WARP].priority;
    if (mine > most) best = i, equals = 1;
    else if (mine == most && draw() % ++equals == 0) best = i;
  }
  return best;
}

void report_deadlock() {
  state.current = nullptr;
  char waits[800] = "";
  size_t used = 0;
  const char* file = nullptr;
  int line = -1;
  for (int i = 0; i < state.threads && used < sizeof waits - 100; ++i) {
    const Fibre& fibre = state.fibres[i];
    if (fibre.wait == DONE || (fibre.file == file && fibre.line == line)) continue;
    file = fibre.file, line = fibre.line;
    used += snprintf(waits + used, sizeof waits - used, "; thread %d waits at %s:%d", i, file, line);
  }
  fail("deadlock: %d of %d threads finished%s", state.done, state.threads, waits);
}

}  // namespace

uint64_t draw() {  // splitmix64
  uint64_t z = (state.random += 0x9e3779b97f4a7c15ull);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return z ^ z >> 31;
}

void fail(const char* format, ...) {
  if (state.failed) return;
  state.failed = true;
  char* out = state.launch->error;
  const size_t size = state.launch->error_size;
  va_list arguments;
  va_start(arguments, format);
  const int used = vsnprintf(out, size, format, arguments);
  va_end(arguments);
  if (!state.current || used < 0 || size_t(used) >= size) return;
  const cushim_thread& self = state.current->self;
  snprintf(out + used, size - used, " [block (%u,%u,%u), thread (%u,%u,%u)]", self.block.x, self.block.y, self.block.z,
           self.thread.x, self.thread.y, self.thread.z);
}

void to_scheduler() { cushim_switch(&state.current->stack_pointer, state.scheduler); }

void give_up() {
  to_scheduler();
  abort();
}

void wake(Fibre& fibre) {
  fibre.wait = READY;
  state.ready.push_back(fibre.number);
}

void draw_priorities() {
  for (Warp& warp : state.warps) warp.priority = 1 + uint32_t(draw() % 1000);
}

bool run_block(unsigned x, unsigned y, unsigned z) {
  const unsigned *size = state.launch->block, *grid = state.launch->grid;
  state.threads = int(size[0] * size[1] * size[2]);
  state.done = 0, state.epoch = 0, state.block++;
  state.barrier = {};
  state.ready.clear();
  if (state.shared_size) memset(state.shared, 0xff, state.shared_size);  // NaN in all of the shared memory
  if (state.dynamic_size) memset(state.dynamic, 0xff, state.dynamic_size);
  for (Warp& warp : state.warps) warp = {};
  draw_priorities();
  for (int i = 0; i < state.threads; ++i) {
    Fibre& fibre = state.fibres[i];
    start(fibre);
    const unsigned n = unsigned(i);
    fibre.self = {{n % size[0], n / size[0] % size[1], n / size[0] / size[1]},
                  {x, y, z}, {size[0], size[1], size[2]}, {grid[0], grid[1], grid[2]}};
    fibre.number = i;
    state.ready.push_back(i);
  }
  while (state.done < state.threads && !state.failed) {
    if (state.ready.empty()) {
      report_deadlock();
      break;
    }
    const int chosen = choose();
    state.current = &state.fibres[state.ready[chosen]];
    state.ready.erase(state.ready.begin() + chosen);
    cushim_current = &state.current->self;
    cushim_switch(&state.scheduler, state.current->stack_pointer);
  }
  return !state.failed;
}

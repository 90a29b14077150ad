// Arrays between guard pages, and what a fault in one is told as.
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <map>

#include "state.h"

namespace {

constexpr size_t PAGE = 4096, GUARD = 64 << 10;
constexpr unsigned char SLACK = 0xa5;  // what stands between an array and the guard page that it does not reach

const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
struct sigaction previous[4];
stack_t previous_stack;

size_t rounded(size_t n, size_t to) { return (n + to - 1) / to * to; }

struct Body {  // the pages that an array stands in
  char* pages;
  size_t size, array_size;
};
std::map<void*, Body> bodies;

void tell_fault(char* address, bool write) {
  const char* what = write ? "write" : "read";
  const Region shared = {state.dynamic, state.dynamic_size, 4, "shared memory"};
  for (int i = 0; i <= state.launch->regions_count; ++i) {
    const Region& r = i < state.launch->regions_count ? state.launch->regions[i] : shared;
    const long offset = long(address - r.base);
    if (offset >= 0 && offset < long(r.size) && &r != &shared) return fail("%s of read-only %s at byte %ld", what, r.name, offset);
    if (offset >= -long(GUARD) && offset < long(r.size + GUARD))
      return fail("%s outside %s (%lu bytes) at byte %ld", what, r.name, static_cast<unsigned long>(r.size), offset);
  }
  const char* stack = state.current ? state.current->stack : nullptr;
  if (stack && address >= stack - PAGE && address < stack) return fail("stack overflow: local arrays are too large");
  fail("%s at a wild or misaligned address", what);
}

void on_signal(int number, siginfo_t* information, void* context) {
  const greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  state.launch->error_places[0] = reinterpret_cast<char*>(registers[REG_RIP]) + 1;
  if (number == SIGILL) fail("index out of bounds, misaligned address, or integer overflow");  // a check of gcc's trapped
  else if (number == SIGFPE) fail("integer division by zero");
  else tell_fault(static_cast<char*>(information->si_addr), registers[REG_ERR] & 2);
  siglongjmp(state.escape, 1);
}

}  // namespace

void catch_signals() {
  static char* alternative = static_cast<char*>(
      mmap(nullptr, GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  stack_t stack = {};
  stack.ss_sp = alternative, stack.ss_size = GUARD;
  sigaltstack(&stack, &previous_stack);
  struct sigaction action = {};
  action.sa_sigaction = on_signal, action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int i = 0; i < 4; ++i) sigaction(SIGNALS[i], &action, &previous[i]);
}

void release_signals() {
  for (int i = 0; i < 4; ++i) sigaction(SIGNALS[i], &previous[i], nullptr);
  sigaltstack(&previous_stack, nullptr);
}

// Memory for an array of `size` bytes: `offset` bytes behind a guard page or, where that is negative, up to the next one.
extern "C" void* cushim_allocate(uint64_t size, int offset) {
  const size_t body = rounded(size + (offset < 0 ? 1 : offset + 1), PAGE);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  char* memory = static_cast<char*>(mmap(nullptr, body + 2 * GUARD, PROT_NONE, flags, -1, 0));
  if (memory == MAP_FAILED) return nullptr;
  char* pages = memory + GUARD;
  mprotect(pages, body, PROT_READ | PROT_WRITE);
  memset(pages, SLACK, body);
  char* array = pages + (offset < 0 ? body - size : size_t(offset));
  bodies[array] = {pages, body, size};
  return array;
}

extern "C" void cushim_protect(void* array) { mprotect(bodies.at(array).pages, bodies.at(array).size, PROT_READ); }

// Returns whether something was written between the array and the guard pages.
extern "C" int cushim_release(void* array) {
  const Body body = bodies.at(array);
  const char *from = static_cast<char*>(array), *to = from + body.array_size;
  bool touched = false;
  for (char* p = body.pages; p < body.pages + body.size; ++p)
    if ((p < from || p >= to) && static_cast<unsigned char>(*p) != SLACK) touched = true;
  munmap(body.pages - GUARD, body.size + 2 * GUARD);
  bodies.erase(array);
  return touched;
}

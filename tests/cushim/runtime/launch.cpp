// A launch: all blocks of the grid, in an order of the caller's choice.
#include <link.h>
#include <stdlib.h>

#include "state.h"

namespace {

struct cushim_kernel {
  void* function;
  void (*call)(void*, void**);
  char parameters[128];
};

struct Search {
  uintptr_t address;
  char* shared;
  size_t size;
};

// Finds the TLS block of the module that holds an address: its static shared memory.
int find_shared(dl_phdr_info* module, size_t, void* data) {
  Search& search = *static_cast<Search*>(data);
  bool holds = false;
  size_t size = 0;
  for (int i = 0; i < module->dlpi_phnum; ++i) {
    const auto& header = module->dlpi_phdr[i];
    if (header.p_type == PT_LOAD && search.address - module->dlpi_addr - header.p_vaddr < header.p_memsz) holds = true;
    if (header.p_type == PT_TLS) size = header.p_memsz;
  }
  if (holds) search.shared = static_cast<char*>(module->dlpi_tls_data), search.size = size;
  return holds;
}

std::vector<uint64_t> block_order(uint64_t count) {
  std::vector<uint64_t> order(count);
  for (uint64_t i = 0; i < count; ++i) order[i] = state.launch->order == REVERSE ? count - 1 - i : i;
  if (state.launch->order == WARPS)
    for (uint64_t i = count; i > 1; --i) std::swap(order[i - 1], order[draw() % i]);
  return order;
}

}  // namespace

extern "C" void* cushim_dynamic_shared() { return state.dynamic; }

bool is_shared(const void* address, size_t size) {
  const char* p = static_cast<const char*>(address);
  return (p >= state.shared && p + size <= state.shared + state.shared_size) ||
         (p >= state.dynamic && p + size <= state.dynamic + state.dynamic_size);
}

// Returns 0, or 1 where the kernel did something that it must not, and says what in `launch->error`.
extern "C" int cushim_launch(const cushim_kernel* kernel, Launch* launch) {
  state.launch = launch, state.function = kernel->function, state.call = kernel->call;
  state.failed = false, state.current = nullptr, state.block = 0, state.random = launch->seed;
  Search search = {reinterpret_cast<uintptr_t>(kernel), nullptr, 0};
  dl_iterate_phdr(find_shared, &search);
  state.shared = search.shared, state.shared_size = search.size;
  state.dynamic = launch->shared, state.dynamic_size = launch->shared_size;
  watch_memory();
  catch_signals();
  const unsigned* grid = launch->grid;
  const std::vector<uint64_t> order = block_order(uint64_t(grid[0]) * grid[1] * grid[2]);
  if (!sigsetjmp(state.escape, 1)) {
    for (uint64_t b : order)
      if (!run_block(unsigned(b % grid[0]), unsigned(b / grid[0] % grid[1]), unsigned(b / grid[0] / grid[1]))) break;
  }
  state.current = nullptr;
  release_signals();
  return state.failed;
}

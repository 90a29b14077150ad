// The race checker: gcc instruments every access as for ThreadSanitizer, whose run time this file replaces.
//
// Of every granule of an array and of shared memory the last write and the last read are kept. Two accesses by different
// threads, one of them a write and not both atomic, must have a barrier between them, or a __syncwarp where both are of
// one warp; in global memory, no two blocks may touch a granule that one of them writes. This is exact: it depends on
// what was accessed between which barriers, not on the order in which the threads happened to run.
#include <stdio.h>

#include "state.h"

namespace {

struct Access {
  uint32_t block, epoch, warp_epoch;
  uint16_t thread;
  bool atomic;
  void* place;
};

struct Cell {
  Access write, read;
  bool several_readers;  // threads that no __syncwarp orders, since the last barrier
  bool several_blocks;   // have read it
};

struct Memory {
  Region region;
  bool shared;
  std::vector<Cell> cells;
};

std::vector<Memory> memories;
size_t last;  // where the previous access was found

Memory* find(const char* address) {
  const auto holds = [&](const Memory& m) { return address >= m.region.base && address < m.region.base + m.region.size; };
  if (last < memories.size() && holds(memories[last])) return &memories[last];
  for (last = 0; last < memories.size(); ++last)
    if (holds(memories[last])) return &memories[last];
  return nullptr;
}

void report(const Memory& memory, const char* what, size_t offset, const Access& other, void* place) {
  state.launch->error_places[0] = place, state.launch->error_places[1] = other.place;
  fail("race on %s at byte %zu: %s, by thread %d", memory.region.name, offset, what, other.thread);
  give_up();
}

// Whether an earlier access of this block is ordered before one of this thread now.
bool ordered(const Access& before, const Access& now) {
  if (before.thread == now.thread || before.epoch != now.epoch) return true;
  return before.thread / WARP == now.thread / WARP && before.warp_epoch < now.warp_epoch;
}

void check_write(const Memory& memory, const Cell& cell, const Access& now, bool write, size_t offset) {
  const Access& before = cell.write;
  if (!before.block || (before.atomic && now.atomic)) return;
  if (before.block != now.block) {
    if (!memory.shared) report(memory, "written by another block", offset, before, now.place);
  } else if (!ordered(before, now)) {
    report(memory, write ? "written twice without a barrier" : "read after a write without a barrier", offset, before, now.place);
  }
}

void check_read(const Memory& memory, const Cell& cell, const Access& now, size_t offset) {
  const Access& before = cell.read;
  if (!before.block || (before.atomic && now.atomic)) return;
  if (!memory.shared && (before.block != now.block || cell.several_blocks))
    report(memory, "written, and read by another block", offset, before, now.place);
  const bool others = cell.several_readers && before.epoch == now.epoch;
  if (before.block == now.block && (others || !ordered(before, now)))
    report(memory, "written after a read without a barrier", offset, before, now.place);
}

void note(Memory& memory, size_t granule, const Access& now, bool write) {
  Cell& cell = memory.cells[granule];
  const size_t offset = granule * memory.region.granule;
  if (memory.shared && !write && cell.write.block != now.block) {
    state.launch->error_places[0] = now.place;
    fail("read of %s that nothing was written to, at byte %zu", memory.region.name, offset);
    give_up();
  }
  check_write(memory, cell, now, write, offset);
  if (write) {
    check_read(memory, cell, now, offset);
    cell.write = now;
    return;
  }
  const Access& before = cell.read;
  const bool same_interval = before.block == now.block && before.epoch == now.epoch;
  const bool apart = before.thread / WARP != now.thread / WARP || before.warp_epoch == now.warp_epoch;
  cell.several_readers = same_interval && (cell.several_readers || (before.thread != now.thread && apart));
  cell.several_blocks |= before.block && before.block != now.block;
  cell.read = now;
}

void add(const Region& region, bool shared) {
  if (region.size) memories.push_back({region, shared, {}});
}

}  // namespace

void watch_memory() {
  memories.clear();
  last = 0;
  if (!state.launch->races) return;
  for (int i = 0; i < state.launch->regions_count; ++i) add(state.launch->regions[i], false);
  add({state.shared, state.shared_size, 4, "shared memory"}, true);
  add({state.dynamic, state.dynamic_size, 4, "shared memory"}, true);
}

void note_access(char* address, size_t size, bool write, bool atomic, void* place) {
  if (!state.current || state.failed) return;
  Memory* memory = find(address);
  if (!memory) return;
  const size_t granule = size_t(memory->region.granule);
  if (memory->cells.empty()) memory->cells.resize(memory->region.size / granule + 1);
  const size_t offset = size_t(address - memory->region.base);
  const Fibre& self = *state.current;
  const Access now = {state.block, state.epoch, state.warps[self.number / WARP].epoch, uint16_t(self.number), atomic, place};
  for (size_t g = offset / granule; g <= (offset + size - 1) / granule && g < memory->cells.size(); ++g)
    note(*memory, g, now, write);
}

// The names that gcc calls.
#define PLACE __builtin_return_address(0)
#define INSTRUMENTED(n)                                                                                        \
  void __tsan_read##n(void* p) { note_access(static_cast<char*>(p), n, false, false, PLACE); }                 \
  void __tsan_write##n(void* p) { note_access(static_cast<char*>(p), n, true, false, PLACE); }                 \
  void __tsan_unaligned_read##n(void* p) { note_access(static_cast<char*>(p), n, false, false, PLACE); }       \
  void __tsan_unaligned_write##n(void* p) { note_access(static_cast<char*>(p), n, true, false, PLACE); }
extern "C" {
INSTRUMENTED(1) INSTRUMENTED(2) INSTRUMENTED(4) INSTRUMENTED(8) INSTRUMENTED(16)
void __tsan_read_range(void* p, unsigned long n) { note_access(static_cast<char*>(p), n, false, false, PLACE); }
void __tsan_write_range(void* p, unsigned long n) { note_access(static_cast<char*>(p), n, true, false, PLACE); }
void __tsan_init() {}
void cushim_atomic(void* p, unsigned n, void* place) { note_access(static_cast<char*>(p), n, true, true, place); }
}

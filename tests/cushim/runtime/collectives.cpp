// Barriers and warp operations, and what is wrong with a call: divergence, lanes that are missing, barriers after an exit.
//
// One operation of a warp is under way at a time: kernels here call them with all lanes of a warp.
#include "state.h"

namespace {

bool elsewhere(const char* file, int line, const char* other_file, int other_line) {
  return line != other_line || strcmp(file, other_file) != 0;
}

}  // namespace

extern "C" int cushim_barrier(cushim_vote vote, int predicate, const char* file, int line) {
  Barrier& barrier = state.barrier;
  Fibre& self = *state.current;
  self.file = file, self.line = line;
  if (state.done) {
    fail("barrier (%s:%d) after %d threads of the block have left", file, line, state.done);
    give_up();
  }
  if (!barrier.waiting) barrier = {0, vote == CUSHIM_AND, vote, file, line};
  if (barrier.vote != vote || elsewhere(barrier.file, barrier.line, file, line)) {
    fail("divergent barrier: this thread at %s:%d, another waits at %s:%d", file, line, barrier.file, barrier.line);
    give_up();
  }
  if (vote == CUSHIM_COUNT) barrier.result += predicate;
  if (vote == CUSHIM_OR) barrier.result |= predicate;
  if (vote == CUSHIM_AND) barrier.result &= predicate;
  self.wait = AT_BARRIER;
  if (++barrier.waiting == state.threads) {
    barrier.waiting = 0;
    state.epoch++;
    draw_priorities();
    for (int i = 0; i < state.threads; ++i) {  // the last to arrive gets no head start
      state.fibres[i].result = uint64_t(barrier.result);
      wake(state.fibres[i]);
    }
  }
  to_scheduler();
  return int(self.result);
}

namespace {

void begin(Exchange& exchange, cushim_shuffle kind, unsigned mask, int first, const char* file, int line) {
  exchange = {};
  exchange.mask = mask, exchange.kind = kind, exchange.file = file, exchange.line = line;
  for (int lane = 0; lane < WARP; ++lane) {
    const int number = first + lane;
    const bool gone = number >= state.threads || state.fibres[number].wait == DONE;
    if (!(mask >> lane & 1) || !gone) continue;
    fail("warp operation (%s:%d) with mask %08x names lane %d, which has left or does not exist", file, line, mask, lane);
    give_up();
  }
}

void finish(const Exchange& exchange, Warp& warp, Fibre* fibres) {
  for (int lane = 0; lane < WARP; ++lane) {
    if (!(exchange.mask >> lane & 1) || exchange.kind == CUSHIM_SYNCWARP || exchange.kind == CUSHIM_TOGETHER) continue;
    const int by = exchange.by[lane];
    int from = exchange.kind == CUSHIM_INDEX  ? by % WARP
               : exchange.kind == CUSHIM_UP   ? lane - by
               : exchange.kind == CUSHIM_DOWN ? lane + by
                                              : lane ^ by;
    if (from < 0 || from >= WARP) from = lane;
    if (!(exchange.mask >> from & 1)) {
      fail("shuffle (%s:%d) reads lane %d, which is not in mask %08x", exchange.file, exchange.line, from, exchange.mask);
      give_up();
    }
    fibres[lane].result = exchange.values[from];
  }
  if (exchange.kind == CUSHIM_SYNCWARP && exchange.mask == 0xffffffffu) warp.epoch++;
  if (exchange.kind == CUSHIM_TOGETHER) {
    void* lanes[WARP];
    for (int lane = 0; lane < WARP; ++lane) lanes[lane] = reinterpret_cast<void*>(exchange.values[lane]);
    state.together(lanes);
  }
}

}  // namespace

extern "C" uint64_t cushim_exchange(cushim_shuffle kind, unsigned mask, uint64_t value, int by, const char* file, int line) {
  Fibre& self = *state.current;
  const int lane = self.number % WARP, first = self.number - lane;  // first: the warp's first thread
  Warp& warp = state.warps[self.number / WARP];
  Exchange& exchange = warp.exchange;
  self.file = file, self.line = line;
  if (!(mask >> lane & 1)) {
    fail("warp operation (%s:%d): lane %d calls with mask %08x, in which it is not", file, line, lane, mask);
    give_up();
  }
  if (!exchange.arrived) begin(exchange, kind, mask, first, file, line);
  if (exchange.mask != mask || exchange.kind != kind || elsewhere(exchange.file, exchange.line, file, line)) {
    fail("divergent warp: this lane at %s:%d with mask %08x, another waits at %s:%d with mask %08x", file, line, mask,
         exchange.file, exchange.line, exchange.mask);
    give_up();
  }
  exchange.arrived |= 1u << lane;
  exchange.by[lane] = by, exchange.values[lane] = value;
  self.wait = AT_WARP;
  if (exchange.arrived == mask) {
    finish(exchange, warp, state.fibres + first);
    exchange.arrived = 0;
    for (int other = 0; other < WARP; ++other)
      if (mask >> other & 1) wake(state.fibres[first + other]);
  }
  to_scheduler();
  return self.result;
}

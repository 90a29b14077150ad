// Copies into shared memory that go on by themselves. Here they arrive at the last moment, when their thread awaits them:
// until then there is NaN. Both beginning and arriving are writes to the race checker.
#include "state.h"

extern "C" void cushim_copy_async(void* to, const void* from, int bytes, const char* file, int line) {
  char* const target = static_cast<char*>(to);
  void* const place = __builtin_return_address(0);
  if (uintptr_t(to) % bytes || uintptr_t(from) % bytes) {
    fail("copy of %d bytes (%s:%d): an address is no multiple of so many", bytes, file, line);
    give_up();
  }
  if (target < state.shared || target + bytes > state.shared + state.shared_size) {
    fail("copy of %d bytes (%s:%d): not to shared memory", bytes, file, line);
    give_up();
  }
  note_access(static_cast<char*>(const_cast<void*>(from)), bytes, false, false, place);
  note_access(target, bytes, true, false, place);
  Copy copy = {target, {}, bytes, place, file, line};
  memcpy(copy.bytes, from, bytes);
  memset(target, 0xff, bytes);
  state.current->copies.push_back(copy);
}

extern "C" void cushim_await_copies() {
  std::vector<Copy>& copies = state.current->copies;
  for (const Copy& copy : copies) {
    note_access(copy.to, copy.size, true, false, copy.place);
    memcpy(copy.to, copy.bytes, copy.size);
  }
  copies.clear();
}

void check_copies() {
  const std::vector<Copy>& copies = state.current->copies;
  if (!copies.empty()) fail("a thread leaves before its copy (%s:%d) has arrived", copies[0].file, copies[0].line);
}

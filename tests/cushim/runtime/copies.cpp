// Copies into shared memory that go on by themselves. Here they arrive at the last moment, when their thread awaits them,
// or the group that they were committed with: until then there is NaN. Both beginning and arriving are writes to the race
// checker.
#include "state.h"

extern "C" void cushim_copy_async(void* to, const void* from, int bytes, int there, const char* file, int line) {
  char* const target = static_cast<char*>(to);
  void* const place = __builtin_return_address(0);
  if (uintptr_t(to) % bytes || uintptr_t(from) % bytes) {
    fail("copy of %d bytes (%s:%d): an address is no multiple of so many", bytes, file, line);
    give_up();
  }
  if (!is_shared(to, bytes)) {
    fail("copy of %d bytes (%s:%d): not to shared memory", bytes, file, line);
    give_up();
  }
  if (there < 0 || there > bytes) {
    fail("copy of %d bytes (%s:%d): %d of them cannot be there", bytes, file, line, there);
    give_up();
  }
  if (there) note_access(static_cast<char*>(const_cast<void*>(from)), there, false, false, place);
  note_access(target, bytes, true, false, place);
  Copy copy = {target, {}, bytes, state.current->groups, place, file, line};  // zeros behind what is there
  memcpy(copy.bytes, from, there);
  memset(target, 0xff, bytes);
  state.current->copies.push_back(copy);
}

extern "C" void cushim_commit_copies() { state.current->groups++; }

// Lets the copies arrive of all groups but the last so many; of none left, those that no group has, too.
extern "C" void cushim_await_copies(int groups_left) {
  std::vector<Copy>& copies = state.current->copies;
  size_t arrived = 0;
  for (; arrived < copies.size(); ++arrived) {
    const Copy& copy = copies[arrived];
    if (groups_left >= 0 && copy.group + groups_left >= state.current->groups) break;
    note_access(copy.to, copy.size, true, false, copy.place);
    memcpy(copy.to, copy.bytes, copy.size);
  }
  copies.erase(copies.begin(), copies.begin() + arrived);
}

void check_copies() {
  const std::vector<Copy>& copies = state.current->copies;
  if (!copies.empty()) fail("a thread leaves before its copy (%s:%d) has arrived", copies[0].file, copies[0].line);
}

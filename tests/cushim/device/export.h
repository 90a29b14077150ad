// The table through which Python finds a module's kernels: put behind the kernel sources.
//
// A kernel's parameters are told as a string, two characters each: `C` (pointer to const), `P` (pointer), `c` and `p`
// (pointer to such pointers) or `V` (by value), then the NumPy character of the type, `2` for a structure of two bytes,
// which is a half precision, or `?` for another.
#pragma once

namespace cushim {

template <class T> constexpr char type_code() {
  if (std::is_same_v<T, float>) return 'f';
  if (std::is_same_v<T, double>) return 'd';
  if (!std::is_integral_v<T>) return sizeof(T) == 2 ? '2' : '?';
  const char* codes = std::is_signed_v<T> ? "b?hi??l" : "B?HI??L";
  return sizeof(T) == 1 ? codes[0] : sizeof(T) == 2 ? codes[2] : sizeof(T) == 4 ? codes[3] : codes[6];
}

template <class P> void describe(char*& text) {
  using Target = std::remove_pointer_t<P>;
  if constexpr (std::is_pointer_v<Target>) {
    describe<std::remove_cv_t<Target>>(text);
    text[-2] += 'a' - 'A';
  } else {
    *text++ = !std::is_pointer_v<P> ? 'V' : std::is_const_v<Target> ? 'C' : 'P';
    *text++ = type_code<std::remove_cv_t<Target>>();
  }
}

template <class... P> struct Caller {
  template <size_t... I> static void spread(void (*kernel)(P...), void** values, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<P>*>(values[I])...);
  }
  static void call(void* kernel, void** values) {
    spread(reinterpret_cast<void (*)(P...)>(kernel), values, std::index_sequence_for<P...>());
  }
};

}  // namespace cushim

struct cushim_kernel {
  void* function;
  void (*call)(void*, void**);
  char parameters[128];
};

template <class... P> cushim_kernel cushim_described(void (*kernel)(P...)) {
  cushim_kernel k = {reinterpret_cast<void*>(kernel), cushim::Caller<P...>::call, {}};
  char* text = k.parameters;
  (cushim::describe<std::remove_cv_t<P>>(text), ...);
  return k;
}

#define CUSHIM_EXPORT(name) extern "C" cushim_kernel cushim_export_##name = cushim_described(&name);

// Brings the module's TLS block, and with it its shared memory, into being.
extern "C" __attribute__((used)) void* cushim_touch_shared() {
  static thread_local char anchor[16];
  return anchor;
}

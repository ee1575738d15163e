// Which sets of kernels this processor, and its operating system, can run.
#include "tables.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

typedef struct cpu {
  int avx2, avx512, dot;
} cpu;

// Asked by hand: the compiler's own __builtin_cpu_supports needs a symbol of its runtime library.
static cpu this_cpu(void) {
  cpu found = {0, 0, 0};
  unsigned a, b, c, d;
  const unsigned osxsave_avx_fma = bit_OSXSAVE | bit_AVX | bit_FMA;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & osxsave_avx_fma) != osxsave_avx_fma) return found;
  unsigned state, high;
  __asm__("xgetbv" : "=a"(state), "=d"(high) : "c"(0));
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
  const unsigned ymm_state = 0x06, zmm_state = 0xe6; // what the system keeps when it switches threads
  const unsigned avx512 = bit_AVX512F | bit_AVX512VL | bit_AVX512DQ | bit_AVX512BW;
  found.avx2 = (state & ymm_state) == ymm_state && b & bit_AVX2;
  found.avx512 = found.avx2 && (state & zmm_state) == zmm_state && (b & avx512) == avx512;
  found.dot = found.avx512 && c & bit_AVX512VNNI;
  return found;
}
#endif

const lstm_kernel_table *lstm_kernels_named(const char *name, int *known) {
  const lstm_kernel_table *sets[3] = {&lstm_kernels_baseline}; // those that run here, the best last
  size_t count = 1;
#if defined(__x86_64__)
  const cpu cpu = this_cpu();
  if (cpu.avx2) sets[count++] = &lstm_kernels_avx2;
  if (cpu.avx512) sets[count++] = &lstm_kernels_avx512;
#elif defined(__aarch64__)
  sets[count++] = &lstm_kernels_neon;
#endif
  static const char names[][9] = {"auto", "baseline", "avx2", "avx512", "neon"};
  *known = 0;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) *known |= strcmp(name, names[i]) == 0;
  if (strcmp(name, "auto") == 0) return sets[count - 1];
  for (size_t i = 0; i < count; i++) {
    if (strcmp(name, sets[i]->name) == 0) return sets[i];
  }
  return NULL;
}

uint32_t lstm_kernels_int8(const lstm_kernel_table *table) {
#if defined(__x86_64__)
  if (table == &lstm_kernels_avx512 && this_cpu().dot) return LSTM_WEIGHTS_INT8_DOT;
#endif
  (void)table;
  return LSTM_WEIGHTS_INT8;
}

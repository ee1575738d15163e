// How this thread computes: rounding, denormal numbers, and what traps, in the control register of the processor.
#include "shim.h"

// SHARED: rounding and denormals, which decide results. FLUSH: denormals are zeros, as inputs and as results.
// Exceptions trap where their bit of ENABLES is set, or their bit of MASKS is not.
#if defined(__x86_64__)

enum { SHARED = 0xe040, FLUSH = 0x8040, MASKS = 0x1f80, ENABLES = 0 };

uint32_t shim_float_mode(void) { return __builtin_ia32_stmxcsr(); }
void shim_restore_float_mode(uint32_t mode) { __builtin_ia32_ldmxcsr(mode); }

#elif defined(__aarch64__)

enum { SHARED = 0x3c80000, FLUSH = 0x1000000, MASKS = 0, ENABLES = 0x9f00 };

uint32_t shim_float_mode(void) {
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return (uint32_t)mode;
}
void shim_restore_float_mode(uint32_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode)); }

#else

enum { SHARED = 0, FLUSH = 0, MASKS = 0, ENABLES = 0 };

uint32_t shim_float_mode(void) { return 0; }
void shim_restore_float_mode(uint32_t mode) { (void)mode; }

#endif

uint32_t shim_flush_denormals(void) {
  const uint32_t mode = shim_float_mode();
  shim_restore_float_mode((mode & ~(uint32_t)ENABLES) | MASKS | FLUSH);
  return mode;
}

void shim_adopt_float_mode(uint32_t mode) { shim_restore_float_mode((mode & SHARED) | MASKS); }

#define _GNU_SOURCE
#include "shim.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

// In a library loaded late, ordinary thread-local storage is allocated at its first touch, and glibc ends the process when
// that fails. Initial-exec storage is there from the start, but scarce: keep all of it together under 700 bytes.
#define THREAD_LOCAL static _Thread_local __attribute__((tls_model("initial-exec")))

THREAD_LOCAL char error_text[SHIM_ERROR_SIZE];

char *shim_error_text(void) { return error_text; }

void *shim_allocate(size_t size) {
  void *memory;
  if (size > PTRDIFF_MAX - 63) return NULL;
  memory = aligned_alloc(64, (size + 63) / 64 * 64);
  return memory;
}

void shim_deallocate(void *memory) { free(memory); }

double shim_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double shim_decimal(uint64_t digits, int exponent) {
  long double value = (long double)digits, power = 10;
  int negative = exponent < 0;
  unsigned e = negative ? -(unsigned)exponent : (unsigned)exponent;
  long double scale = 1;
  if (digits == 0) return 0;
  for (; e; e >>= 1, power *= power)
    if (e & 1) scale *= power;
  return (double)(negative ? value / scale : value * scale);
}

double shim_exp(double x) { return exp(x); }
double shim_log(double x) { return log(x); }
double shim_log1p(double x) { return log1p(x); }
double shim_sqrt(double x) { return sqrt(x); }
double shim_cos(double x) { return cos(x); }
double shim_pow(double x, double y) { return pow(x, y); }

#define _GNU_SOURCE
#include "shim.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

// In a library loaded late, ordinary thread-local storage is allocated at its first touch, and glibc ends the process when
// that fails. Initial-exec storage is there from the start, but scarce: keep all of it together under 700 bytes.
#define THREAD_LOCAL static _Thread_local __attribute__((tls_model("initial-exec")))

THREAD_LOCAL char error_text[SHIM_ERROR_SIZE];

char *shim_error_text(void) { return error_text; }

void *shim_allocate(size_t size) {
  // Passes through a large block read it in strides: on pages of 4 KB each stride would have to be looked up.
  const size_t page = (size_t)2 << 20, alignment = size >= 4 * page ? page : 64;
  void *memory;
  if (size > PTRDIFF_MAX - page) return NULL;
  memory = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory != NULL && alignment == page) madvise(memory, size, MADV_HUGEPAGE); // a wish; without it all works as well
  return memory;
}

void shim_deallocate(void *memory) { free(memory); }

double shim_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// strtod is given the digits and the exponent but never a point, for which each locale has its own sign.
double shim_decimal(const uint8_t *text, size_t count) {
  // What lies halfway between two doubles has at most 768 digits. Of more, it matters only whether all are zeros.
  enum { DIGITS = 768 };
  char plain[DIGITS + 16];
  int used = 0, rest = 0, point = 0, negative;
  long long exponent = 0, power = 0;
  size_t i;
  for (i = 0; i < count && text[i] != 'e' && text[i] != 'E'; i++) {
    if (text[i] == '.') {
      point = 1;
    } else if (used < DIGITS) {
      if (used > 0 || text[i] != '0') plain[used++] = (char)text[i];
      exponent -= point;
    } else {
      rest |= text[i] != '0';
      exponent += !point;
    }
  }
  if (used == 0) return 0;
  if (rest) plain[used++] = '1', exponent--;
  negative = ++i < count && text[i] == '-';
  for (; i < count; i++)
    if (text[i] >= '0' && text[i] <= '9' && power < 1000000000000000) power = 10 * power + (text[i] - '0');
  exponent += negative ? -power : power;
  if (exponent > 9999) exponent = 9999;
  if (exponent < -9999) exponent = -9999;
  snprintf(plain + used, sizeof plain - (size_t)used, "e%d", (int)exponent);
  return strtod(plain, NULL);
}

double shim_exp(double x) { return exp(x); }
double shim_log(double x) { return log(x); }
double shim_log1p(double x) { return log1p(x); }
double shim_sqrt(double x) { return sqrt(x); }
double shim_cos(double x) { return cos(x); }
double shim_sin(double x) { return sin(x); }
double shim_pow(double x, double y) { return pow(x, y); }

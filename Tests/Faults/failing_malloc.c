/* Linked into the test program, these definitions stand before libc's for the loaded library too. */
#include "failing_malloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/* glibc's own, under the names that it keeps for those who replace malloc. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static _Thread_local struct {
  allocation_source source;
  int armed, all;
  long k, seen, failed;
} plan;
static atomic_long live, made;

void arm_failures(allocation_source source, long k, int all) {
  memset(&plan, 0, sizeof plan);
  plan.source = source, plan.armed = 1, plan.k = k, plan.all = all;
}

long disarm_failures(void) {
  plan.armed = 0;
  return plan.failed;
}

int allocation_fails(allocation_source source) {
  if (!plan.armed || plan.source != source) return 0;
  plan.seen++;
  if (plan.seen != plan.k && !(plan.all && plan.seen > plan.k)) return 0;
  plan.failed++;
  errno = ENOMEM;
  return 1;
}

long count_allocations(void) { return plan.seen; }
long count_all_allocations(void) { return made; }
long count_live_blocks(void) { return live; }

static void *counted(void *memory) {
  live += memory != NULL;
  made += memory != NULL;
  return memory;
}

void *malloc(size_t size) { return allocation_fails(FROM_MALLOC) ? NULL : counted(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) {
  return allocation_fails(FROM_MALLOC) ? NULL : counted(__libc_calloc(count, size));
}
void *memalign(size_t alignment, size_t size) {
  return allocation_fails(FROM_MALLOC) ? NULL : counted(__libc_memalign(alignment, size));
}
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

void *realloc(void *memory, size_t size) {
  void *moved;
  if (allocation_fails(FROM_MALLOC)) return NULL;
  moved = __libc_realloc(memory, size);
  made += moved != NULL;
  live += (memory == NULL && moved != NULL) - (memory != NULL && moved == NULL && size == 0);
  return moved;
}

void *reallocarray(void *memory, size_t count, size_t size) {
  if (size > 0 && count > SIZE_MAX / size) return errno = ENOMEM, NULL;
  return realloc(memory, count * size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
  void *block = memalign(alignment, size);
  if (block == NULL) return ENOMEM;
  *memory = block;
  return 0;
}

void free(void *memory) {
  live -= memory != NULL;
  __libc_free(memory);
}

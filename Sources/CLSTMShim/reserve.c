// Embedded Swift takes every object, array and string from posix_memalign and traps when it returns nothing. So the
// library defines posix_memalign for itself (hidden: the host's is untouched). When malloc fails it hands out a block
// that was set aside when the call began, and notes it; the code above goes on, sees the note before it commits to
// anything, and unwinds in the ordinary way. The blocks are malloc's own, so plain free takes them back.
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#ifdef LSTM_EMBEDDED

typedef struct block {
  struct block *next;
} block;

typedef struct {
  block *classes[5]; // by size
  block *large;      // of sizes announced by shim_reserve_add
  int depth, used;
} reserve;

static const size_t class_size[5] = {64, 256, 1024, 4096, 16384};
static const int class_count[5] = {64, 48, 16, 6, 2};

static _Thread_local __attribute__((tls_model("initial-exec"))) reserve store;

static int push(block **list, size_t size) {
  block *b = malloc(size);
  if (b == NULL) return -1;
  b->next = *list;
  *list = b;
  return 0;
}

static void drop(block **list) {
  while (*list != NULL) {
    block *b = *list;
    *list = b->next;
    free(b);
  }
}

static void drop_all(void) {
  for (int i = 0; i < 5; i++) drop(&store.classes[i]);
  drop(&store.large);
}

int shim_reserve_open(void) {
  if (store.depth++ > 0) return 0;
  store.used = 0;
  for (int i = 0; i < 5; i++)
    for (int n = 0; n < class_count[i]; n++)
      if (push(&store.classes[i], class_size[i]) != 0) {
        drop_all();
        store.depth = 0;
        return -1;
      }
  return 0;
}

void shim_reserve_close(void) {
  if (--store.depth == 0) drop_all();
}

int shim_reserve_used(void) { return store.used; }

int shim_reserve_add(size_t size) { return push(&store.large, size < sizeof(block) ? sizeof(block) : size); }

static void *take(block **list) {
  block *b = *list;
  *list = b->next;
  return b;
}

// The smallest block set aside that holds `size` bytes.
static void *from_reserve(size_t size) {
  for (int i = 0; i < 5; i++)
    if (size <= class_size[i] && store.classes[i] != NULL) return take(&store.classes[i]);
  for (block **link = &store.large; *link != NULL; link = &(*link)->next)
    if (size <= malloc_usable_size(*link)) return take(link);
  return NULL;
}

__attribute__((visibility("hidden"))) int posix_memalign(void **memory, size_t alignment, size_t size) {
  void *m = alignment <= 16 ? malloc(size) : aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (m == NULL && store.depth > 0 && alignment <= 16) {
    m = from_reserve(size);
    store.used = 1;
  }
  if (m == NULL) return ENOMEM;
  *memory = m;
  return 0;
}

#else

// Ordinary Swift's runtime ends the process by itself when memory runs out; there is nothing to set aside.
int shim_reserve_open(void) { return 0; }
void shim_reserve_close(void) {}
int shim_reserve_used(void) { return 0; }
int shim_reserve_add(size_t size) {
  (void)size;
  return 0;
}

#endif

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
  int counts[5];
} supply;

struct shim_supply {
  supply blocks;
};

typedef struct {
  supply blocks;
  block *large; // of sizes announced by shim_reserve_add
  shim_supply *lender;
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

static void empty(supply *s) {
  for (int i = 0; i < 5; i++) drop(&s->classes[i]);
  *s = (supply){0};
}

// Makes a supply whole. -1: there is not the memory; it is as full as can be.
static int fill(supply *s) {
  for (int i = 0; i < 5; i++) {
    for (; s->counts[i] < class_count[i]; s->counts[i]++) {
      if (push(&s->classes[i], class_size[i]) != 0) return -1;
    }
  }
  return 0;
}

shim_supply *shim_supply_new(void) {
  shim_supply *s = calloc(1, sizeof *s);
  if (s != NULL && fill(&s->blocks) != 0) {
    shim_supply_free(s);
    return NULL;
  }
  return s;
}

void shim_supply_free(shim_supply *s) {
  if (s == NULL) return;
  empty(&s->blocks);
  free(s);
}

int shim_reserve_open(shim_supply *lender) {
  if (store.depth > 0) {
    store.depth++;
    return 0;
  }
  if (lender == NULL) {
    if (fill(&store.blocks) != 0) {
      empty(&store.blocks);
      return -1;
    }
  } else {
    if (fill(&lender->blocks) != 0) return -1;
    store.blocks = lender->blocks;
  }
  store.lender = lender;
  store.used = 0;
  store.depth = 1;
  return 0;
}

void shim_reserve_close(void) {
  if (--store.depth > 0) return;
  drop(&store.large);
  if (store.lender == NULL) {
    empty(&store.blocks);
  } else {
    fill(&store.blocks);
    store.lender->blocks = store.blocks;
    store.blocks = (supply){0};
  }
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
    if (size <= class_size[i] && store.blocks.classes[i] != NULL) {
      store.blocks.counts[i]--;
      return take(&store.blocks.classes[i]);
    }
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
struct shim_supply {
  int nothing;
};

shim_supply *shim_supply_new(void) { return calloc(1, sizeof(shim_supply)); }
void shim_supply_free(shim_supply *s) { free(s); }
int shim_reserve_open(shim_supply *lender) {
  (void)lender;
  return 0;
}
void shim_reserve_close(void) {}
int shim_reserve_used(void) { return 0; }
int shim_reserve_add(size_t size) {
  (void)size;
  return 0;
}

#endif

// A handle is not an address but a number: slot, generation and a tag in one word. A slot's generation changes each time
// it is freed, so that a handle kept too long names nothing. Slots live in chunks that are never moved and only freed when
// the library is unloaded. Nothing here waits for another thread, so a fork at any moment leaves the table usable.
#include "shim.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { CHUNK_BITS = 10, CHUNK = 1 << CHUNK_BITS, CHUNKS = 1 << 12, SLOT_BITS = CHUNK_BITS + 12, TAG_BITS = 3 };

static const uint64_t TAG = 5;                     // the lowest bits of every handle: no aligned address ends so
static const uint64_t FIRST_GENERATION = 0x2a5b3c; // no number that someone would make up
static const uint64_t TAKEN = 0xff;                // the kind of a slot that is being filled

typedef struct {
  _Atomic uint64_t state; // generation << 8 | kind; kind 0: free
  void *object;
} slot;

static _Atomic(slot *) chunks[CHUNKS];
static _Atomic uint32_t hint; // where the next free slot may be

static slot *slot_at(uint32_t number) {
  slot *chunk = atomic_load_explicit(&chunks[number >> CHUNK_BITS], memory_order_acquire);
  return chunk == NULL ? NULL : &chunk[number & (CHUNK - 1)];
}

static int install(uint32_t index) {
  slot *none = NULL, *chunk = calloc(CHUNK, sizeof(slot));
  if (chunk == NULL) return -1;
  if (!atomic_compare_exchange_strong(&chunks[index], &none, chunk)) free(chunk); // another thread was faster
  return 0;
}

static uint32_t slot_of(const void *handle) {
  return (uint32_t)((uint64_t)(uintptr_t)handle >> TAG_BITS) & ((1u << SLOT_BITS) - 1);
}

static uint64_t live_state(const void *handle, uint32_t kind) {
  return (uint64_t)(uintptr_t)handle >> (SLOT_BITS + TAG_BITS) << 8 | kind;
}

void *shim_handle_new(void *object, uint32_t kind) {
  uint32_t start = atomic_load(&hint);
  for (uint32_t i = 0; i < 1u << SLOT_BITS; i++) {
    uint32_t number = (start + i) & ((1u << SLOT_BITS) - 1);
    slot *s = slot_at(number);
    uint64_t state;
    if (s == NULL) {
      if (install(number >> CHUNK_BITS) != 0) return NULL;
      s = slot_at(number);
    }
    state = atomic_load(&s->state);
    if (state == 0) state = FIRST_GENERATION << 8;
    if ((state & 0xff) == 0) {
      uint64_t seen = state == FIRST_GENERATION << 8 ? 0 : state;
      if (!atomic_compare_exchange_strong(&s->state, &seen, state | TAKEN)) continue;
      s->object = object;
      atomic_store_explicit(&s->state, state | kind, memory_order_release);
      atomic_store(&hint, number + 1 == 1u << SLOT_BITS ? 0 : number + 1);
      return (void *)(uintptr_t)(state >> 8 << (SLOT_BITS + TAG_BITS) | (uint64_t)number << TAG_BITS | TAG);
    }
  }
  return NULL;
}

void *shim_handle_object(const void *handle, uint32_t kind) {
  slot *s;
  if (((uint64_t)(uintptr_t)handle & ((1 << TAG_BITS) - 1)) != TAG) return NULL;
  s = slot_at(slot_of(handle));
  if (s == NULL) return NULL;
  return atomic_load_explicit(&s->state, memory_order_acquire) == live_state(handle, kind) ? s->object : NULL;
}

void *shim_handle_free(const void *handle, uint32_t kind) {
  void *object = shim_handle_object(handle, kind);
  uint64_t live = live_state(handle, kind);
  slot *s = slot_at(slot_of(handle));
  // The generation that follows, in the bits a handle has for it, and never the one that stands for "never used".
  uint64_t next = ((live >> 8) + 1) & (((uint64_t)1 << (64 - SLOT_BITS - TAG_BITS)) - 1);
  if (next == 0 || next == FIRST_GENERATION) next = FIRST_GENERATION + 1;
  if (object == NULL) return NULL;
  if (!atomic_compare_exchange_strong(&s->state, &live, next << 8)) return NULL; // freed twice at once
  atomic_store(&hint, slot_of(handle));
  return object;
}

// At unloading, when no call can be running.
__attribute__((destructor)) static void release_chunks(void) {
  for (int i = 0; i < CHUNKS; i++) free(atomic_load(&chunks[i]));
}

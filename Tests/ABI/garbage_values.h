/* What the garbage harness puts in place of a good argument, by the kind of the argument. Each function writes variant
 * number `v` and returns 0 when there are no more. Nothing here lies about memory that no library can check: a pointer
 * is NULL, a made-up handle, or leads to at least as much memory as the sizes say, unless the size itself must be
 * refused. */
#ifndef GARBAGE_VALUES_H
#define GARBAGE_VALUES_H

enum { BLOCK = 1 << 16, MAX_ARGUMENTS = 9 };

typedef union {
  void *pointer;
  size_t size;
  uint32_t u32;
  int integer;
  double real;
} slot;

/* What good arguments are made of; made once, before the forks. */
static struct {
  lstm_model *model, *trained, *classes, *language, *writer; /* `trained` belongs to the trainer */
  lstm_model *published;
  lstm_trainer *trainer, *forecasting;
  lstm_predictor *predictor;
  lstm_stream *stream, *streams[2], *forecaster;
  lstm_generator *generator;
  void *freed[5];
  lstm_array next;
  lstm_options options;
  lstm_generate_options generate_options, generator_options;
  lstm_allocator allocator;
  blob saved;
  float parameter[OUTPUTS], state[1024];
  size_t parameter_count, state_count;
} world;

#define LENGTH(list) ((int)(sizeof(list) / sizeof *(list)))

static int bad_handle(int v, slot *s, void *block) {
  void *const made_up[] = {NULL,
                           world.freed[0],
                           world.freed[1],
                           world.freed[2],
                           world.freed[3],
                           world.freed[4],
                           world.model,
                           world.trainer,
                           world.predictor,
                           world.stream,
                           world.generator,
                           (void *)1,
                           (void *)-1,
                           (void *)0xdeadbeef,
                           block,
                           (void *)bad_handle,
                           (void *)random_number(),
                           (void *)(random_number() >> 32)};
  if (v >= LENGTH(made_up)) return 0;
  s->pointer = made_up[v];
  return 1;
}

/* One of several handles. */
static int bad_handles(int v, slot *s, void *block) {
  slot one;
  if (v == 0) return s->pointer = NULL, 1;
  if (v == 1) return ((void **)block)[1] = ((void **)block)[0], 1;
  if (!bad_handle(v - 2, &one, block)) return 0;
  ((void **)block)[v % 2] = one.pointer;
  return 1;
}

/* A text of a megabyte that repeats `piece`. */
static const char *long_text(const char *piece) {
  const size_t total = 1 << 20, length = strlen(piece);
  char *text = malloc(total + 1);
  CHECK(text != NULL);
  for (size_t i = 0; i < total; i++) text[i] = piece[i % length];
  text[total] = 0;
  return text;
}

enum { LONG_TEXTS = 8 };

static int bad_text(int v, slot *s) {
  static const char *texts[] = {NULL,
                                "",
                                " ",
                                "\xff\xfe\x80",
                                "\xed\xa0\x80",
                                "\xf4\x90\x80\x80",
                                "a\xc3",
                                "{'layers': [{'type': '\xff'}]}",
                                "%s%s%n%n",
                                "null",
                                "[]",
                                "{}",
                                "{",
                                "{'layers': []}",
                                "{'layers': {}}",
                                "1e999",
                                "-",
                                "\"\\ud800\"",
                                "\x01\x1b[2J",
                                "{'a': 1, 'a': 2}",
                                "{'layers': [{'type': 'lstm', 'units': 1e400}]}",
                                "{'loss': 'mse', 'optimizer': {'type': 'adam', 'learning_rate': -1e-400}}"};
  static const char *const pieces[LONG_TEXTS] = {"a", "[", "{'a':", "\"", "\xff", "9", "\\", "[[{},"};
  static const char *long_texts[LENGTH(pieces)];
  if (v >= LENGTH(texts) + LENGTH(pieces)) return 0;
  if (v < LENGTH(texts)) {
    s->pointer = (void *)texts[v];
    return 1;
  }
  v -= LENGTH(texts);
  if (!long_texts[v]) long_texts[v] = long_text(pieces[v]);
  s->pointer = (void *)long_texts[v];
  return 1;
}

static int bad_size(int v, slot *s) {
  const size_t good = s->size;
  const size_t sizes[] = {0,
                          1,
                          good - 1,
                          good + 1,
                          (size_t)1 << 31,
                          (size_t)1 << 32,
                          ((size_t)1 << 32) + good,
                          (size_t)1 << 62,
                          ((size_t)1 << 62) + good,
                          (size_t)1 << 63,
                          SIZE_MAX / 4 + 1,
                          SIZE_MAX - 7,
                          SIZE_MAX};
  if (v >= LENGTH(sizes)) return 0;
  s->size = sizes[v];
  return 1;
}

/* The size of memory that is read: a lie about it is left out unless no memory is so large. */
static int bad_data_size(int v, slot *s) { return bad_size(v < 4 ? v : v + 3, s); }

static int bad_u32(int v, slot *s) {
  const uint32_t numbers[] = {0, 2, 6, 7, 8, 9, 64, 1u << 31, UINT32_MAX - 1, UINT32_MAX};
  if (v >= LENGTH(numbers)) return 0;
  s->u32 = numbers[v];
  return 1;
}

static int bad_integer(int v, slot *s) {
  const int numbers[] = {INT32_MIN, -1000, -10, -9, -5, 0, 1, 2, 1000, INT32_MAX};
  if (v >= LENGTH(numbers)) return 0;
  s->integer = numbers[v];
  return 1;
}

static const double strange_reals[] = {0.0, -0.0, -1.0, 1e308, 5e-324, -1e-300, 1.0 / 3, 1.0, 0.9999999999999999};

static int bad_real(int v, slot *s) {
  if (v >= LENGTH(strange_reals) + 3) return 0;
  s->real = v < LENGTH(strange_reals) ? strange_reals[v]
                                      : ((const double[]){0.0 / 0.0, 1.0 / 0.0, -1.0 / 0.0})[v - LENGTH(strange_reals)];
  return 1;
}

static int bad_numbers(int v, slot *s, void *block) {
  const float values[] = {0.0f / 0.0f, 1.0f / 0.0f, -1.0f / 0.0f, 3e38f, -3e38f, 1e-45f};
  if (v > LENGTH(values)) return 0;
  if (v == 0) return s->pointer = NULL, 1;
  for (size_t i = 0; i < BLOCK / sizeof(float); i++) ((float *)block)[i] = values[v - 1];
  return 1;
}

static int bad_bytes(int v, slot *s, void *block) {
  unsigned char *bytes = block;
  if (v == 0) return s->pointer = NULL, 1;
  if (v > 40) return 0;
  if (v < 20) {
    bytes[random_number() % world.saved.count] ^= (unsigned char)(1 + random_number() % 255);
  } else if (v < 28) {
    memset(bytes, v == 20 ? 0 : 255, (size_t)1 << (v - 20)); /* the header's length */
  } else {
    for (size_t i = 0; i < BLOCK; i++) bytes[i] = (unsigned char)random_number();
    if (v > 34) memset(bytes + 2, 0, 6); /* a believable header length before the noise */
  }
  return 1;
}

static int bad_shape(int v, slot *s, void *block) {
  int64_t *shape = block;
  const int64_t extents[] = {0, -1, INT64_MIN, INT64_MAX, (int64_t)1 << 32, (int64_t)1 << 62};
  if (v == 0) return s->pointer = NULL, 1;
  if (v > 2 * LENGTH(extents)) return 0;
  for (int i = 0; i < LSTM_MAX_RANK; i++) shape[i] = extents[(v - 1) / 2];
  if (v % 2) shape[0] = 3;
  return 1;
}

#endif

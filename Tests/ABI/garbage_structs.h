/* The garbage of garbage_values.h for arguments that lead to a struct: its size, then each field in turn. */
#ifndef GARBAGE_STRUCTS_H
#define GARBAGE_STRUCTS_H

#include "garbage_values.h"

/* Variants that every struct with struct_size has; `size` is what the header of these tests says. */
enum { STRUCT_VARIANTS = 10 };
static void bad_struct(int v, slot *s, void *block, uint32_t size) {
  uint32_t *struct_size = block;
  unsigned char *tail = (unsigned char *)block + size;
  memset(tail, 0, BLOCK - size);
  switch (v) {
  case 0:
    s->pointer = NULL;
    break;
  case 1:
    *struct_size = 0;
    break;
  case 2:
    *struct_size = 4;
    break;
  case 3:
    *struct_size = size - 1;
    break;
  case 4:
    *struct_size = size + 8;
    break; /* of a newer header, nothing new used: good */
  case 5:
    *struct_size = size + 8, tail[7] = 1;
    break;
  case 6:
    *struct_size = UINT32_MAX;
    break;
  case 7:
    *struct_size = 1u << 31;
    break;
  case 8:
    memset(block, 255, BLOCK);
    break;
  case 9:
    memset(block, 0, BLOCK);
    break;
  }
}

static int bad_out_struct(int v, slot *s, void *block, uint32_t size) {
  if (v >= STRUCT_VARIANTS) return 0;
  bad_struct(v, s, block, size);
  return 1;
}

static int bad_history(int v, slot *s, void *block) {
  lstm_history *history = block;
  if (v < STRUCT_VARIANTS) return bad_out_struct(v, s, block, sizeof *history);
  switch (v - STRUCT_VARIANTS) {
  case 0:
    history->capacity = 0;
    break;
  case 1:
    history->values = NULL;
    break;
  case 2:
    history->rows = SIZE_MAX, history->columns = UINT32_MAX;
    break;
  default:
    return 0;
  }
  return 1;
}

static void *refusing_allocate(size_t size, size_t alignment, void *user) {
  return (void)size, (void)alignment, (void)user, NULL;
}

static int bad_allocator(int v, slot *s, void *block) {
  lstm_allocator *allocator = block;
  if (v < STRUCT_VARIANTS) return bad_out_struct(v, s, block, sizeof *allocator);
  switch (v - STRUCT_VARIANTS) {
  case 0:
    allocator->allocate = NULL;
    break;
  case 1:
    allocator->deallocate = NULL;
    break;
  case 2:
    allocator->allocate = refusing_allocate;
    break;
  case 3:
    allocator->reserved = UINT32_MAX;
    break;
  default:
    return 0;
  }
  return 1;
}

static double not_numbers[BLOCK / sizeof(double)]; /* NaN throughout, for any element type of reals */
static const char *bad_strings[ROWS] = {NULL, "\xff", "\xed\xa0\x80", "a\xc3", "", "ok", "\xf8\x88\x80\x80\x80", NULL};
static const int64_t bad_lengths[3][ROWS] = {{-1}, {STEPS + 1}, {INT64_MIN, INT64_MAX, INT64_MAX}};
static const uint8_t empty_mask[ROWS * STEPS];

static int bad_array_field(int v, lstm_array *array) {
  switch (v) {
  case 0:
    array->type = 0;
    break;
  case 1:
    array->type = LSTM_STRING + 1;
    break;
  case 2:
    array->type = UINT32_MAX;
    break;
  case 3:
    array->rank = 0;
    break;
  case 4:
    array->rank = LSTM_MAX_RANK + 1;
    break;
  case 5:
    array->rank = UINT32_MAX;
    break;
  case 6:
    array->rank -= 1;
    break;
  case 7:
    array->data = NULL;
    break;
  case 8:
    array->lengths = bad_lengths[0];
    break;
  case 9:
    array->lengths = bad_lengths[1];
    break;
  case 10:
    array->lengths = bad_lengths[2];
    break;
  case 11:
    array->lengths = numbers_lengths, array->mask = empty_mask;
    break;
  case 12:
    array->lengths = NULL, array->mask = empty_mask;
    break;
  case 13:
    array->data = not_numbers, array->lengths = NULL;
    break;
  case 14:
    array->type = LSTM_STRING, array->rank = 1, array->data = bad_strings, array->strides[0] = 8, array->lengths = NULL;
    break;
  case 15:
    array->type = LSTM_INT64, memset(array->strides, 0, sizeof array->strides), array->lengths = NULL;
    break;
  case 16:
    array->reserved = UINT32_MAX;
    break;
  default:
    return 0;
  }
  return 1;
}

/* Extents that must be refused (or are harmless): all strides are zero, so that no element lies outside the data. */
static int bad_array_extent(int v, lstm_array *array) {
  const int64_t extents[] = {0, -1, 1, INT64_MIN, INT64_MAX, (int64_t)1 << 31, (int64_t)1 << 62};
  if (v >= 4 * LENGTH(extents)) return 0;
  array->lengths = NULL;
  memset(array->strides, 0, sizeof array->strides);
  if (v / LENGTH(extents) < 3)
    array->shape[v / LENGTH(extents)] = extents[v % LENGTH(extents)];
  else
    array->shape[0] = array->shape[1] = array->shape[2] = extents[v % LENGTH(extents)];
  return 1;
}

enum { ARRAY_FIELDS = 17 };
static int bad_array(int v, slot *s, void *block) {
  lstm_array *array = block;
  if (v < STRUCT_VARIANTS) return bad_out_struct(v, s, block, sizeof *array);
  if (v < STRUCT_VARIANTS + ARRAY_FIELDS) return bad_array_field(v - STRUCT_VARIANTS, array);
  return bad_array_extent(v - STRUCT_VARIANTS - ARRAY_FIELDS, array);
}

/* One array of a list; those that are good stay so. */
static int bad_list(int v, lstm_data *given) {
  static lstm_array bad;
  static const lstm_array *lists[3][1];
  const lstm_array *const good[3] = {&data.x, &data.y, &data.weights};
  if (v >= 3 * ARRAY_FIELDS) return 0;
  for (int i = 0; i < 3; i++) lists[i][0] = good[i];
  given->x = lists[0], given->y = lists[1], given->weights = lists[2];
  bad = *good[v % 3];
  bad_array_field(v / 3, &bad);
  lists[v % 3][0] = &bad;
  return 1;
}

static int bad_data(int v, slot *s, void *block) {
  static const lstm_array *const nothing[64], *const twice[2] = {&data.x, &data.x};
  lstm_data *given = block;
  if (v < STRUCT_VARIANTS) return bad_out_struct(v, s, block, sizeof *given);
  switch (v - STRUCT_VARIANTS) {
  case 0:
    given->inputs = 0;
    break;
  case 1:
    given->inputs = 2, given->x = twice;
    break;
  case 2:
    given->inputs = UINT32_MAX;
    break;
  case 3:
    given->outputs = 0;
    break;
  case 4:
    given->outputs = 65;
    break;
  case 5:
    given->x = NULL;
    break;
  case 6:
    given->y = NULL;
    break;
  case 7:
    given->x = nothing;
    break;
  case 8:
    given->inputs = given->outputs = 64, given->x = given->y = given->weights = nothing;
    break;
  case 9:
    given->weights = nothing;
    break;
  case 10:
    given->reserved = UINT32_MAX;
    break;
  case 11:
    given->weights = given->x;
    break;
  default:
    return bad_list(v - STRUCT_VARIANTS - 12, given);
  }
  return 1;
}

static int two_batches(uint64_t epoch, size_t batch, lstm_array *x, lstm_array *y, lstm_array *weights, void *user) {
  (void)epoch, (void)user;
  if (batch == 2) return LSTM_SOURCE_END;
  *x = data.x, *y = data.y, *weights = data.weights;
  return LSTM_OK;
}

/* Before the first step, after which the model would be a trained one. */
static int failing(uint64_t epoch, size_t batch, lstm_array *x, lstm_array *y, lstm_array *weights, void *user) {
  return two_batches(epoch, batch, x, y, weights, user), -1000;
}

static int without_batches(uint64_t epoch, size_t batch, lstm_array *x, lstm_array *y, lstm_array *weights,
                           void *user) {
  return (void)epoch, (void)batch, (void)x, (void)y, (void)weights, (void)user, LSTM_SOURCE_END;
}

static int without_arrays(uint64_t epoch, size_t batch, lstm_array *x, lstm_array *y, lstm_array *weights, void *user) {
  return (void)epoch, (void)x, (void)y, (void)weights, (void)user, batch == 2;
}

static int with_wrong_arrays(uint64_t epoch, size_t batch, lstm_array *x, lstm_array *y, lstm_array *weights,
                             void *user) {
  return two_batches(epoch, batch, y, weights, x, user);
}

static int bad_source(int v, slot *s) {
  static const lstm_source sources[] = {NULL, failing, without_batches, without_arrays, with_wrong_arrays};
  if (v >= LENGTH(sources)) return 0;
  s->pointer = (void *)sources[v];
  return 1;
}

static int stop_at_once(const lstm_progress *progress, void *user) { return (void)progress, (void)user, 1; }

static int bad_decoding(int v, slot *s, void *block) {
  lstm_decoding *decoding = block;
  if (v < STRUCT_VARIANTS) return bad_out_struct(v, s, block, sizeof *decoding);
  switch (v - STRUCT_VARIANTS) {
  case 0:
    decoding->best = 0;
    break;
  case 1:
    decoding->best = UINT32_MAX;
    break;
  case 2:
    decoding->blank = UINT32_MAX;
    break;
  case 3:
    decoding->probabilities = 2;
    break;
  case 4:
    decoding->reserved = 1;
    break;
  case 5:
    decoding->beam_width = 3;
    break;
  default:
    return 0;
  }
  return 1;
}

static int bad_options(int v, slot *s, void *block) {
  static const double class_weights[4] = {-1.0, 0.0 / 0.0, 1e308, 0.0};
  lstm_options *options = block;
  if (v < STRUCT_VARIANTS) return bad_out_struct(v, s, block, sizeof *options);
  switch (v - STRUCT_VARIANTS) {
  case 0:
    options->batch_size = 0;
    break;
  case 1:
    options->batch_size = UINT32_MAX;
    break;
  case 2:
    options->epochs = 0;
    break;
  case 3:
    options->epochs = UINT32_MAX, options->progress = stop_at_once;
    break;
  case 4:
    options->shuffle = 2;
    break;
  case 5:
    options->seed = UINT64_MAX;
    break;
  case 6:
    options->validation_split = 1.0;
    break;
  case 7:
    options->validation_split = -0.5;
    break;
  case 8:
    options->validation_split = 0.0 / 0.0;
    break;
  case 9:
    options->validation_split = 0.9999999999999999;
    break;
  case 10:
    options->validation_split = 5e-324;
    break;
  case 11:
    options->validation_x = &data.x;
    break;
  case 12:
    options->validation_y = &data.y;
    break;
  case 13:
    options->validation_x = &data.x, options->validation_y = &data.y, options->validation_split = 0.5;
    break;
  case 14:
    options->validation_x = &data.y, options->validation_y = &data.x;
    break;
  case 15:
    options->sample_weights = &data.y;
    break;
  case 16:
    options->sample_weights = &data.text;
    break;
  case 17:
    options->class_weights = class_weights, options->class_count = 4;
    break;
  case 18:
    options->class_weights = NULL, options->class_count = 4;
    break;
  case 19:
    options->class_weights = class_weights, options->class_count = SIZE_MAX;
    break;
  case 20:
    options->class_weights = class_weights, options->class_count = 0;
    break;
  case 21:
    options->early_stopping = UINT32_MAX;
    break;
  case 22:
    options->early_stopping = 1, options->monitor = "val_los";
    break;
  case 23:
    options->early_stopping = 1, options->monitor = NULL;
    break;
  case 24:
    options->early_stopping = 1, options->monitor = "\xff\xfe";
    break;
  case 25:
    options->monitor_mode = 3;
    break;
  case 26:
    options->early_stopping = 1, options->min_delta = 0.0 / 0.0, options->monitor = "loss";
    break;
  case 27:
    options->progress_batches = UINT32_MAX;
    break;
  case 28:
    options->log_level = INT32_MIN;
    break;
  case 29:
    options->reserved = UINT32_MAX;
    break;
  case 30:
    options->bptt_steps = UINT32_MAX;
    break;
  case 31:
    options->threads = UINT32_MAX;
    break;
  case 32:
    options->reserved_3 = UINT32_MAX;
    break;
  case 33:
    options->resume = 2;
    break;
  case 34:
    options->resume = 1;
    break;
  case 35:
    options->reduce_on_plateau = 1, options->plateau_monitor = NULL;
    break;
  case 36:
    options->reduce_on_plateau = 1, options->plateau_monitor = "loss", options->plateau_factor = 0.0 / 0.0;
    break;
  case 37:
    options->reduce_on_plateau = 1, options->plateau_monitor = "loss", options->plateau_patience = UINT32_MAX;
    break;
  case 38:
    options->plateau_mode = 3;
    break;
  case 39:
    options->plateau_min_rate = -1.0;
    break;
  case 40:
    options->steps_per_epoch = SIZE_MAX;
    break;
  case 41:
    options->steps_per_epoch = 1;
    break;
  case 42:
    options->validation = &data.single, options->validation_x = &data.x, options->validation_y = &data.y;
    break;
  case 43:
    options->validation = &data.nothing;
    break;
  default:
    return 0;
  }
  return 1;
}

static int stop_writing(size_t sequence, size_t index, int32_t token, double log_probability, void *user) {
  return (void)sequence, (void)index, (void)token, (void)log_probability, (void)user, 1;
}

static int bad_generate_options(int v, slot *s, void *block) {
  static const int32_t tokens[] = {-1, 9, INT32_MIN, INT32_MAX}, all[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  static const double numbers[] = {0.0, -1.0, 1e308, 5e-324, 0.0 / 0.0, 1.0 / 0.0, -1.0 / 0.0, 1e6, 1e-6};
  lstm_generate_options *options = block;
  if (v < STRUCT_VARIANTS) return bad_out_struct(v, s, block, sizeof *options);
  v -= STRUCT_VARIANTS;
  double *const reals[] = {&options->temperature, &options->top_p, &options->repetition_penalty,
                           &options->length_penalty};
  if (v < LENGTH(reals) * LENGTH(numbers)) {
    *reals[v / LENGTH(numbers)] = numbers[v % LENGTH(numbers)];
    return 1;
  }
  switch (v - LENGTH(reals) * LENGTH(numbers)) {
  case 0:
    options->sequences = 0;
    break;
  case 1:
    options->sequences = UINT32_MAX;
    break;
  case 2:
    options->max_length = 0;
    break;
  case 3:
    options->max_length = SIZE_MAX;
    break;
  case 4:
    options->max_length = (size_t)1 << 62, options->sequences = 4;
    break;
  case 5:
    options->min_length = SIZE_MAX;
    break;
  case 6:
    options->min_length = 1000, options->end_tokens = all, options->end_count = 3;
    break;
  case 7:
    options->end_tokens = tokens, options->end_count = LENGTH(tokens);
    break;
  case 8:
    options->end_tokens = NULL, options->end_count = 1;
    break;
  case 9:
    options->end_tokens = all, options->end_count = SIZE_MAX;
    break;
  case 10:
    options->suppressed = tokens + 1, options->suppressed_count = 1;
    break;
  case 11:
    options->suppressed = all, options->suppressed_count = LENGTH(all);
    break;
  case 12:
    options->suppressed = NULL, options->suppressed_count = SIZE_MAX;
    break;
  case 13:
    options->end_tokens = all, options->end_count = LENGTH(all);
    break;
  case 14:
    options->top_k = UINT32_MAX;
    break;
  case 15:
    options->beams = 0;
    break;
  case 16:
    options->beams = UINT32_MAX;
    break;
  case 17:
    options->beams = 4096;
    break;
  case 18:
    options->beams = 2, options->sequences = 3;
    break;
  case 19:
    options->beams = 2, options->token = stop_writing;
    break;
  case 20:
    options->beams = 2, options->top_k = 1;
    break;
  case 21:
    options->beams = 2, options->length_penalty = 100.0;
    break;
  case 22:
    options->threads = UINT32_MAX;
    break;
  case 23:
    options->threads = 2, options->sequences = 3;
    break;
  case 24:
    options->reserved = 1;
    break;
  case 25:
    options->token = stop_writing, options->token_user = block;
    break;
  case 26:
    options->temperature = 1e-6, options->repetition_penalty = 1e6;
    break;
  case 27:
    options->seed = UINT64_MAX;
    break;
  default:
    return 0;
  }
  return 1;
}

#endif

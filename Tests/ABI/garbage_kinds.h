/* The kinds of arguments that lstm.h has, and which garbage each kind gets. */
#ifndef GARBAGE_KINDS_H
#define GARBAGE_KINDS_H

#include "garbage_structs.h"

typedef enum {
  HANDLE,
  HANDLES,
  TEXT,
  SHAPE,
  NUMBERS,
  BYTES,
  ARRAY,
  DATA,
  ALLOCATOR,
  OPTIONS,
  GENERATE_OPTIONS,
  DECODING,
  OUT,
  OUT_COUNT,
  OUT_ARRAY,
  OUT_DATA,
  OUT_OPTIONS,
  OUT_GENERATE_OPTIONS,
  OUT_HISTORY,
  OUT_DECODING,
  OUT_PARAMETER,
  SOURCE,
  SIZE,
  DATA_SIZE,
  U32,
  INTEGER,
  REAL
} kind;

static int is_number(kind kind) { return kind >= SIZE; }

static int bad_argument(kind kind, int v, slot *s, void *block) {
  switch (kind) {
  case HANDLE:
    return bad_handle(v, s, block);
  case HANDLES:
    return bad_handles(v, s, block);
  case TEXT:
    return bad_text(v, s);
  case SHAPE:
    return bad_shape(v, s, block);
  case NUMBERS:
    return bad_numbers(v, s, block);
  case BYTES:
    return bad_bytes(v, s, block);
  case ARRAY:
    return bad_array(v, s, block);
  case DATA:
    return bad_data(v, s, block);
  case ALLOCATOR:
    return bad_allocator(v, s, block);
  case OPTIONS:
    return bad_options(v, s, block);
  case GENERATE_OPTIONS:
    return bad_generate_options(v, s, block);
  case DECODING:
    return bad_decoding(v, s, block);
  case OUT:
  case OUT_COUNT:
    return s->pointer = NULL, v == 0;
  case OUT_ARRAY:
    return bad_out_struct(v, s, block, sizeof(lstm_array));
  case OUT_DATA:
    return bad_out_struct(v, s, block, sizeof(lstm_data));
  case OUT_OPTIONS:
    return bad_out_struct(v, s, block, sizeof(lstm_options));
  case OUT_GENERATE_OPTIONS:
    return bad_out_struct(v, s, block, sizeof(lstm_generate_options));
  case OUT_PARAMETER:
    return bad_out_struct(v, s, block, sizeof(lstm_parameter));
  case SOURCE:
    return bad_source(v, s);
  case OUT_DECODING:
    return bad_out_struct(v, s, block, sizeof(lstm_decoding));
  case OUT_HISTORY:
    return bad_history(v, s, block);
  case SIZE:
    return bad_size(v, s);
  case DATA_SIZE:
    return bad_data_size(v, s);
  case U32:
    return bad_u32(v, s);
  case INTEGER:
    return bad_integer(v, s);
  case REAL:
    return bad_real(v, s);
  }
  return 0;
}

static int count_variants(kind kind) {
  static unsigned char block[BLOCK];
  slot s = {0};
  int v = 0;
  while (bad_argument(kind, v, &s, block)) v++;
  return v;
}

#endif

// Products with weights of 16 and 8 bits: the bits of float32, and exact integers of numbers rounded to bytes.
#include "check.h"

#include <math.h>
#include <string.h>

// The words of one column: those of its numbers in halves, or of its integers with the scale 1.
static void pack_halves(const float *column, size_t depth, uint32_t *words, size_t apart) {
  for (size_t k = 0; k < depth; k += 2) {
    uint32_t low, high = 0x80000000u;
    memcpy(&low, &column[k], sizeof low);
    if (k + 1 < depth) memcpy(&high, &column[k + 1], sizeof high);
    words[k / 2 * apart] = high | low >> 16;
  }
}

static void pack_integers(const int *column, size_t depth, uint32_t *words, size_t apart) {
  const float scale = 1;
  memcpy(words, &scale, sizeof scale);
  uint32_t sum = 0;
  for (size_t k = 0; k < depth; k++) {
    sum += (uint32_t)column[k];
    words[(2 + k / 4) * apart] |= (uint32_t)(uint8_t)column[k] << 8 * (k % 4);
  }
  words[apart] = 0u - 128 * sum;
}

static int check_product(const lstm_kernel_table *set, size_t rows, size_t depth, uint32_t int8) {
  const size_t width = 4 * set->lanes, bytes_row = (depth + 3) / 4 * 4;
  float *a = random_floats(rows * depth), *b = random_floats(depth * width), *column = random_floats(depth);
  float *c = random_floats(rows * width), *halves = random_floats(rows * width), *scales = random_floats(rows);
  uint32_t *words = calloc((depth + 3) * width, sizeof *words);
  uint8_t *bytes = calloc(rows * bytes_row + 1, 1);
  int *integers = malloc((depth + 1) * sizeof *integers), wrong = 0;
  if (!words || !bytes || !integers) exit(2);
  for (size_t i = 0; i < depth * width; i++) {
    uint32_t bits;
    memcpy(&bits, &b[i], sizeof bits);
    bits &= 0xffff0000u;
    memcpy(&b[i], &bits, sizeof bits);
  }
  lstm_product p = {.rows = rows,
                    .depth = depth,
                    .chunks = 1,
                    .a = a,
                    .a_row = (ptrdiff_t)depth,
                    .a_step = 1,
                    .b = b,
                    .b_row = (ptrdiff_t)width,
                    .c = c,
                    .c_row = (ptrdiff_t)width};
  for (int j = 0; j < 4; j++) {
    p.c_vector[j] = j * (ptrdiff_t)set->lanes;
    p.valid[j] = set->lanes;
  }
  set->product(&p);
  for (size_t j = 0; j < width; j++) {
    for (size_t k = 0; k < depth; k++) column[k] = b[k * width + j];
    pack_halves(column, depth, words + j, width);
  }
  p.b = (const float *)words;
  p.c = halves;
  p.format = LSTM_WEIGHTS_BFLOAT16;
  set->product(&p);
  for (size_t i = 0; i < rows * width; i++) wrong += is_wrong("product with halves", halves[i], c[i], 0);

  // Integers are those of the first bits of the weights, bytes those that the set makes of a.
  memset(words, 0, (depth + 3) * width * sizeof *words);
  set->quantize(rows, depth, a, (ptrdiff_t)depth, 0, bytes, (ptrdiff_t)bytes_row, scales);
  for (size_t j = 0; j < width; j++) {
    for (size_t k = 0; k < depth; k++) integers[k] = (int)(b[k * width + j] * 127);
    pack_integers(integers, depth, words + j, width);
  }
  p.format = int8;
  p.a_bytes = (lstm_bytes){bytes, (ptrdiff_t)bytes_row, scales};
  set->product(&p);
  for (size_t r = 0; r < rows; r++) {
    for (size_t k = 0; k < depth; k++) {
      const double rounded = (bytes[r * bytes_row + k] - 128.0) * scales[r];
      wrong += is_wrong("byte", rounded, a[r * depth + k], 0.5001 * scales[r]);
    }
    for (size_t j = 0; j < width; j++) {
      int sum = 0;
      for (size_t k = 0; k < depth; k++) sum += (bytes[r * bytes_row + k] - 128) * (int)(b[k * width + j] * 127);
      wrong += is_wrong("product with integers", halves[r * width + j], (float)sum * scales[r], 0);
    }
  }
  void *const all[] = {a, b, column, c, halves, scales, words, bytes, integers};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
  return wrong;
}

int check_compressed(const lstm_kernel_table *set) {
  int wrong = 0;
  for (size_t rows = 0; rows <= 14; rows++) {
    for (size_t depth = 1; depth <= 40; depth += 3) {
      wrong += check_product(set, rows, depth, LSTM_WEIGHTS_INT8);
      wrong += check_product(set, rows, depth, lstm_kernels_int8(set));
    }
  }
  return wrong;
}

// Products in every height and width of tile with their remainders, and the transpose.
#include "check.h"

#include <math.h>
#include <string.h>

// Rows, depth and number of chunks; how many vectors have valid lanes, and how many lanes the last one leaves out.
static int check_product(const lstm_kernel_table *set, size_t rows, size_t depth, size_t chunks, size_t vectors,
                         size_t missing, uint32_t start) {
  const size_t lanes = set->lanes, width = vectors * lanes, b_row = width + 1, c_row = width + 3;
  const size_t a_count = rows * chunks * depth, b_count = chunks * depth * b_row, c_count = rows * c_row;
  float *a = random_floats(a_count), *b = random_floats(b_count), *c = random_floats(c_count);
  float *first = random_floats(width), *old = malloc(c_count * sizeof *old + 1);
  if (!old) exit(2);
  memcpy(old, c, c_count * sizeof *c);
  // A is stored column by column, chunk after chunk.
  lstm_product p = {.rows = rows,
                    .depth = depth,
                    .chunks = chunks,
                    .a = a,
                    .a_row = 1,
                    .a_step = (ptrdiff_t)rows,
                    .a_chunk = (ptrdiff_t)(rows * depth),
                    .b = b,
                    .b_row = (ptrdiff_t)b_row,
                    .b_chunk = (ptrdiff_t)(depth * b_row),
                    .c = c,
                    .c_row = (ptrdiff_t)c_row,
                    .c_vector = {0, (ptrdiff_t)lanes, 2 * (ptrdiff_t)lanes, 3 * (ptrdiff_t)lanes},
                    .start = start,
                    .first = first};
  for (size_t j = 0; j < vectors; j++) p.valid[j] = j + 1 < vectors ? lanes : lanes - missing;
  set->product(&p);

  int wrong = 0;
  for (size_t r = 0; r < rows; r++) {
    for (size_t i = 0; i < c_row; i++) {
      const double before = old[r * c_row + i];
      if (i >= width - missing) {
        wrong += is_wrong("beside a product", c[r * c_row + i], before, 0);
        continue;
      }
      double want = start == LSTM_FROM_C ? before : start == LSTM_FROM_ROW ? first[i] : 0, sizes = fabs(want);
      for (size_t k = 0; k < chunks * depth; k++) {
        const double term = (double)a[k * rows + r] * b[k * b_row + i];
        want += term;
        sizes += fabs(term);
      }
      wrong += is_wrong("product", c[r * c_row + i], want, (double)(chunks * depth + 1) * 0x1p-24 * sizes);
    }
  }
  if (chunks == 1 && missing == 0) {
    float *tiles = random_floats(a_count);
    set->pack_tiles(vectors, rows, depth, a, (ptrdiff_t)rows, tiles);
    p.a = tiles;
    p.c = old;
    p.tiled = 1;
    set->product(&p);
    for (size_t i = 0; i < c_count; i++) wrong += is_wrong("product of tiles", old[i], c[i], 0);
    free(tiles);
  }
  free(a);
  free(b);
  free(c);
  free(first);
  free(old);
  return wrong;
}

static int check_transpose(const lstm_kernel_table *set, size_t rows, size_t columns) {
  float *in = random_floats(rows * columns), *out = random_floats(columns * (rows + 1));
  float *beside = random_floats(columns);
  for (size_t j = 0; j < columns; j++) out[j * (rows + 1) + rows] = beside[j];
  set->transpose(rows, columns, in, (ptrdiff_t)columns, out, (ptrdiff_t)rows + 1);
  int wrong = 0;
  for (size_t j = 0; j < columns; j++) {
    for (size_t i = 0; i < rows; i++) wrong += is_wrong("transpose", out[j * (rows + 1) + i], in[i * columns + j], 0);
    wrong += is_wrong("beside a transpose", out[j * (rows + 1) + rows], beside[j], 0);
  }
  free(in);
  free(out);
  free(beside);
  return wrong;
}

int check_products(const lstm_kernel_table *set) {
  int wrong = 0;
  for (size_t rows = 0; rows <= 27; rows++) {
    for (size_t vectors = 1; vectors <= 4; vectors++) {
      const size_t missing = rows % 3 == 1 ? set->lanes - 1 : rows % 3 == 2;
      wrong += check_product(set, rows, rows % 4 * 5, 1 + vectors % 2, vectors, missing, (uint32_t)(rows / 2 % 3));
    }
    wrong += check_transpose(set, rows, 30 - rows);
  }
  return wrong;
}

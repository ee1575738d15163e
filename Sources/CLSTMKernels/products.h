// The product of matrices, in tiles of up to TILE rows x 4 vectors whose sums stay in registers.

// clang-format off
// Calls f(rows, ...) with `rows` a constant, so that its loops over rows are unrolled for each height of tile.
#define WITH_CONSTANT_ROWS(rows, f, ...)                                                                               \
  switch (rows) {                                                                                                      \
  case 1: f(1, __VA_ARGS__); break;                                                                                    \
  case 2: f(2, __VA_ARGS__); break;                                                                                    \
  case 3: f(3, __VA_ARGS__); break;                                                                                    \
  case 4: if (TILE >= 4) f(4, __VA_ARGS__); break;                                                                     \
  case 5: if (TILE >= 5) f(5, __VA_ARGS__); break;                                                                     \
  case 6: if (TILE >= 6) f(6, __VA_ARGS__); break;                                                                     \
  }
// clang-format on
#define MOST_ROWS 6

// sum[r][j] += the sum over k < depth, in order, of a[r * a_row + k * a_step] * (vector j of row k of b).
INLINE void accumulate(const int rows, vf (*sum)[4], size_t depth, const float *a, ptrdiff_t a_row, ptrdiff_t a_step,
                       const float *b, ptrdiff_t b_row) {
  for (size_t k = 0; k < depth; k++, a += a_step, b += b_row) {
    vf factor[MOST_ROWS];
    UNROLL for (int r = 0; r < rows; r++) factor[r] = a[r * a_row];
    UNROLL for (int j = 0; j < 4; j++) {
      const vf column = load(b + j * VL);
      UNROLL for (int r = 0; r < rows; r++) sum[r][j] = muladd(factor[r], column, sum[r][j]);
    }
  }
}

INLINE void product_tile(const int rows, const lstm_product *p, size_t row) {
  float *const c = p->c + (ptrdiff_t)row * p->c_row;
  vf sum[MOST_ROWS][4];
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int j = 0; j < 4; j++) {
    sum[r][j] = 0;
    if (p->start == LSTM_FROM_ROW) sum[r][j] = load(p->first + j * VL);
    if (p->start == LSTM_FROM_C) sum[r][j] = load_first(c + r * p->c_row + j * p->c_vector, p->valid[j]);
  }
  accumulate(rows, sum, p->depth, p->a + (ptrdiff_t)row * p->a_row, p->a_row, p->a_step, p->b, p->b_row);
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int j = 0; j < 4; j++) {
    store_first(c + r * p->c_row + j * p->c_vector, p->valid[j], sum[r][j]);
  }
}

static void product(const lstm_product *p) {
  for (size_t row = 0; row < p->rows; row += TILE) {
    const size_t rows = p->rows - row < TILE ? p->rows - row : TILE;
    WITH_CONSTANT_ROWS(rows, product_tile, p, row);
  }
}

// Sums and elementwise arithmetic.

static void multiply(size_t n, const float *a, const float *b, float *y) {
  FOR_VECTORS(i, m, n) store_first(y + i, m, load_first(a + i, m) * load_first(b + i, m));
}

static void add(size_t n, const float *x, float *y) {
  FOR_VECTORS(i, m, n) store_first(y + i, m, load_first(y + i, m) + load_first(x + i, m));
}

static void scale(size_t n, float factor, float *y) {
  FOR_VECTORS(i, m, n) store_first(y + i, m, load_first(y + i, m) * factor);
}

static void add_scaled(size_t n, float factor, const float *x, float *y) {
  FOR_VECTORS(i, m, n) store_first(y + i, m, muladd(factor, load_first(x + i, m), load_first(y + i, m)));
}

static void clamp(size_t n, float limit, float *y) {
  FOR_VECTORS(i, m, n) store_first(y + i, m, at_most(limit, at_least(-limit, load_first(y + i, m))));
}

// The square of a float is exact in double, so only the additions round.
static double sum_squares(size_t n, const float *x) {
  vd sums = 0;
  FOR_VECTORS(i, m, n) {
    const vd at = __builtin_convertvector(load_first(x + i, m), vd);
    sums += at * at;
  }
  return sum_of_doubles(&sums);
}

// Adds the sums of some columns to out: `vectors`, a constant, whole vectors of them, or one vector of the first m.
INLINE void add_column_sums(const int vectors, size_t m, size_t rows, const float *x, ptrdiff_t x_row, float *out) {
  vf sum[4] = {0, 0, 0, 0};
  for (size_t r = 0; r < rows; r++, x += x_row) {
    UNROLL for (int j = 0; j < vectors; j++) sum[j] += load_first(x + j * VL, m);
  }
  UNROLL for (int j = 0; j < vectors; j++) store_first(out + j * VL, m, load_first(out + j * VL, m) + sum[j]);
}

static void column_sums(size_t rows, size_t width, const float *x, ptrdiff_t x_row, float *out) {
  for (size_t row = 0; row < rows; row += 64, x += 64 * x_row) {
    const size_t chunk = rows - row < 64 ? rows - row : 64;
    size_t column = 0;
    for (; column + 4 * VL <= width; column += 4 * VL) add_column_sums(4, VL, chunk, x + column, x_row, out + column);
    FOR_VECTORS(i, m, width - column) add_column_sums(1, m, chunk, x + column + i, x_row, out + column + i);
  }
}

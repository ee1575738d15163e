// Sums and elementwise arithmetic.

static void multiply(size_t n, const float *a, const float *b, float *y) {
  FOR_VECTORS(i, m, n) store_first(y + i, m, load_first(a + i, m) * load_first(b + i, m));
}

static void add(size_t n, const float *x, float *y) {
  FOR_VECTORS(i, m, n) store_first(y + i, m, load_first(y + i, m) + load_first(x + i, m));
}

static void maximum(size_t n, const float *x, uint32_t index, float *y, float *at) {
  FOR_VECTORS(i, m, n) {
    const vf now = load_first(x + i, m), so_far = load_first(y + i, m);
    const vi is_more = (now > so_far) | (now != now);
    store_first(y + i, m, is_more ? now : so_far);
    if (at) store_first(at + i, m, is_more ? (vf)(vu)index : load_first(at + i, m));
  }
}

static void gather(size_t count, const int32_t *place, size_t width, const float *table, float *y) {
  for (size_t i = 0; i < count; i++, y += width) {
    const float *const row = table + (size_t)place[i] * width;
    FOR_VECTORS(j, m, width) store_first(y + j, m, load_first(row + j, m));
  }
}

// A loop for one type of element; all of them are exact as double.
#define READ_TOKENS(type)                                                                                              \
  for (; i < count; i++, at += stride) {                                                                               \
    type element;                                                                                                      \
    memcpy(&element, at, sizeof element);                                                                              \
    if (!(element >= 0 && element < (double)limit && (type)(int32_t)element == element)) break;                        \
    to[i] = (int32_t)element;                                                                                          \
  }                                                                                                                    \
  break

static size_t read_tokens(uint32_t element, size_t count, const void *from, ptrdiff_t stride, int32_t limit,
                          int32_t *to) {
  const char *at = from;
  size_t i = 0;
  // clang-format off
  switch (element) {
  case LSTM_OF_FLOAT32: READ_TOKENS(float);
  case LSTM_OF_FLOAT64: READ_TOKENS(double);
  case LSTM_OF_INT32: READ_TOKENS(int32_t);
  case LSTM_OF_INT64: READ_TOKENS(int64_t);
  case LSTM_OF_UINT8: READ_TOKENS(uint8_t);
  }
  // clang-format on
  return i;
}

static void scatter_add(size_t count, const int32_t *place, const uint8_t *mask, int32_t first, size_t rows,
                        size_t width, const float *x, float *table) {
  enum { CHUNK = 256 };
  size_t hits[CHUNK];
  for (size_t start = 0; start < count; start += CHUNK) {
    // The places are as good as random: looking for those that count must not hang on guesses of the processor.
    size_t found = 0;
    for (size_t i = start; i < count && i < start + CHUNK; i++) {
      hits[found] = i;
      found += (size_t)((int64_t)place[i] - first) < rows;
    }
    for (size_t k = 0; k < found; k++) {
      const size_t i = hits[k];
      if (!mask || mask[i]) add(width, x + i * width, table + (size_t)(place[i] - first) * width);
    }
  }
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

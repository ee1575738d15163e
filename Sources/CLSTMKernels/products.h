// The product of matrices, in tiles of a few rows x 1 to 4 vectors whose SUMS sums stay in registers. The fewer vectors,
// the more rows, for a tile needs 8 sums or more to keep the multipliers busy.

#define MOST_ROWS 16
#define TILE (SUMS / 4)

// Tiles of four vectors have every height up to TILE, narrower ones the powers of two. (Of three vectors and 12 sums the
// compiler makes nothing good.)
INLINE int is_height(const int vectors, const int rows) {
  return vectors == 4 ? rows <= TILE : (rows & (rows - 1)) == 0 && rows * vectors <= SUMS / 8 * 8;
}

// The height of the next tile when `rows` are left; with four vectors, the last two share what they have.
INLINE size_t next_height(const int vectors, size_t rows) {
  if (vectors == 4) return rows <= TILE ? rows : rows >= 2 * TILE ? TILE : (rows + 1) / 2;
  size_t height = MOST_ROWS;
  UNROLL for (int i = 0; i < 4; i++) if (height > rows || !is_height(vectors, (int)height)) height /= 2;
  return height;
}

// clang-format off
// Calls f(rows, ...) with `rows` a constant, so that its loops are unrolled for each height a tile of so many vectors has.
#define WITH_CONSTANT_ROWS(rows, vectors, f, ...)                                                                      \
  switch (rows) {                                                                                                      \
  case 1: f(1, __VA_ARGS__); break;                                                                                    \
  case 2: if (is_height(vectors, 2)) f(2, __VA_ARGS__); break;                                                         \
  case 3: if (is_height(vectors, 3)) f(3, __VA_ARGS__); break;                                                         \
  case 4: if (is_height(vectors, 4)) f(4, __VA_ARGS__); break;                                                         \
  case 5: if (is_height(vectors, 5)) f(5, __VA_ARGS__); break;                                                         \
  case 6: if (is_height(vectors, 6)) f(6, __VA_ARGS__); break;                                                         \
  case 8: if (is_height(vectors, 8)) f(8, __VA_ARGS__); break;                                                         \
  case 16: if (is_height(vectors, 16)) f(16, __VA_ARGS__); break;                                                      \
  }
// clang-format on

// sum[i * rows + r][j] += the sum over k < depth, in order, of a[i * a_block + r * a_row + k * a_step] * (vector j of row k
// of block i of b). More than one block for a single row only.
INLINE void accumulate(const int rows, const int blocks, const int vectors, vf (*sum)[4], size_t depth, const float *a,
                       ptrdiff_t a_row, ptrdiff_t a_step, ptrdiff_t a_block, const float *b, ptrdiff_t b_row,
                       ptrdiff_t b_block) {
  // A pointer for every four rows, of which the compiler may not know that they belong together: so each row is reached
  // by one addition within the load, where it would otherwise add a_row time after time.
  const float *four[MOST_ROWS / 4];
  UNROLL for (int i = 0; i < (rows + 3) / 4; i++) {
    four[i] = a + 4 * i * a_row;
    __asm__("" : "+r"(four[i]));
  }
  for (size_t k = 0; k < depth; k++, b += b_row) {
    // What there is less of, factors or columns, waits in registers. The others come one by one; nothing may be loaded
    // before the empty statement is reached, or the compiler loads them all and runs out of registers.
    if (rows < vectors) {
      UNROLL for (int i = 0; i < blocks; i++) {
        const float *const own = b + i * b_block;
        vf factor[4];
        UNROLL for (int r = 0; r < rows; r++) factor[r] = four[0][i * a_block + r * a_row];
        UNROLL for (int j = 0; j < vectors; j++) {
          const vf column = load(own + j * VL);
          UNROLL for (int r = 0; r < rows; r++) sum[i * rows + r][j] = muladd(factor[r], column, sum[i * rows + r][j]);
          __asm__ volatile("");
        }
      }
    } else {
      vf column[4];
      UNROLL for (int j = 0; j < vectors; j++) column[j] = load(b + j * VL);
      UNROLL for (int r = 0; r < rows; r++) {
        const vf factor = four[r / 4][r % 4 * a_row];
        UNROLL for (int j = 0; j < vectors; j++) sum[r][j] = muladd(factor, column[j], sum[r][j]);
        __asm__ volatile("");
      }
    }
    UNROLL for (int i = 0; i < (rows + 3) / 4; i++) four[i] += a_step;
  }
}

// A matrix in memory: its rows so many floats apart, and where in a row its vectors are.
typedef struct place {
  float *at;
  ptrdiff_t row;
  const ptrdiff_t *vector;
} place;

// The rows of `c` from those of `a`; the sums start with what lies at `start`.
INLINE void product_tile(const int rows, const int vectors, const lstm_product *p, const float *a, place start,
                         place c) {
  vf sum[MOST_ROWS][4];
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int j = 0; j < vectors; j++) {
    sum[r][j] = load(start.at + r * start.row + start.vector[j]);
  }
  const float *b = p->b;
  for (size_t q = 0; q < p->chunks; q++, a += p->a_chunk, b += p->b_chunk) {
    accumulate(rows, 1, vectors, sum, p->depth, a, p->a_row, p->a_step, 0, b, p->b_row, 0);
  }
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int j = 0; j < vectors; j++) {
    store(c.at + r * c.row + c.vector[j], sum[r][j]);
  }
}

// All lanes of the vectors are valid.
INLINE void product_panel(const int vectors, const lstm_product *p) {
  float zeros[4 * VL] = {0};
  static const ptrdiff_t side_by_side[4] = {0, VL, 2 * VL, 3 * VL};
  place c = {p->c, p->c_row, p->c_vector}, start = {zeros, 0, side_by_side};
  if (p->start == LSTM_FROM_C) start = c;
  if (p->start == LSTM_FROM_ROW) start.at = (float *)p->first;
  const float *a = p->a;
  size_t rows;
  for (size_t left = p->rows; left > 0; left -= rows) {
    rows = next_height(vectors, left);
    WITH_CONSTANT_ROWS(rows, vectors, product_tile, vectors, p, a, start, c);
    a += (ptrdiff_t)rows * p->a_row;
    start.at += (ptrdiff_t)rows * start.row;
    c.at += (ptrdiff_t)rows * c.row;
  }
}

static void product_of(int vectors, const lstm_product *p) {
  // clang-format off
  switch (vectors) {
  case 1: product_panel(1, p); break;
  case 2: product_panel(2, p); break;
  case 3: product_panel(3, p); break;
  case 4: product_panel(4, p); break;
  }
  // clang-format on
}

// A result with some lanes left out is made in whole vectors elsewhere and copied.
static __attribute__((noinline)) void product_with_partial_vectors(int vectors, const lstm_product *p) {
  enum { ROWS = 24 };
  float copy[ROWS * 4 * VL];
  lstm_product part = *p;
  part.c = copy;
  part.c_row = 4 * VL;
  for (int j = 0; j < 4; j++) part.c_vector[j] = j * VL;
  for (size_t row = 0; row < p->rows; row += ROWS) {
    float *const c = p->c + (ptrdiff_t)row * p->c_row;
    part.rows = p->rows - row < ROWS ? p->rows - row : ROWS;
    part.a = p->a + (ptrdiff_t)row * p->a_row;
    for (int out = p->start != LSTM_FROM_C; out < 2; out++) {
      if (out) product_of(vectors, &part);
      for (size_t r = 0; r < part.rows; r++) {
        for (int j = 0; j < vectors; j++) {
          float *const own = copy + (r * 4 + j) * VL, *const at = c + (ptrdiff_t)r * p->c_row + p->c_vector[j];
          if (out) {
            store_first(at, p->valid[j], load(own));
          } else {
            store(own, load_first(at, p->valid[j]));
          }
        }
      }
    }
  }
}

static void product(const lstm_product *p) {
  int vectors = 0, partial = 0;
  for (; vectors < 4 && p->valid[vectors] > 0; vectors++) partial |= p->valid[vectors] < VL;
  if (partial) {
    product_with_partial_vectors(vectors, p);
  } else {
    product_of(vectors, p);
  }
}

static void pack(size_t rows, size_t vectors, const float *in, ptrdiff_t in_row, const ptrdiff_t *column,
                 const size_t *valid, float *out) {
  for (size_t r = 0; r < rows; r++, in += in_row) {
    for (size_t j = 0; j < vectors; j++, out += VL) store(out, valid[j] ? load_first(in + column[j], valid[j]) : (vf)0);
  }
}

static void transpose(size_t rows, size_t columns, const float *in, ptrdiff_t in_row, float *out, ptrdiff_t out_row) {
  FOR_VECTORS(i, height, rows) FOR_VECTORS(j, width, columns) {
    vf v[VL];
    for (size_t r = 0; r < VL; r++) {
      v[r] = r < height ? load_first(in + (ptrdiff_t)(i + r) * in_row + (ptrdiff_t)j, width) : (vf)0;
    }
    // Vectors r and r + VL/2 are shuffled like two halves of a deck of cards. After log2 VL rounds rows are columns. Loops:
    // written out, the shuffles of 16 lanes with their constants take 15 KB.
#pragma clang loop unroll(disable)
    for (int round = 1; round < VL; round *= 2) {
      vf shuffled[VL];
#pragma clang loop unroll(disable)
      for (int r = 0; r < VL / 2; r++) {
        const vf upper = v[r], lower = v[r + VL / 2];
        UNROLL for (int l = 0; l < VL; l++) {
          shuffled[2 * r][l] = (l % 2 ? lower : upper)[l / 2];
          shuffled[2 * r + 1][l] = (l % 2 ? lower : upper)[VL / 2 + l / 2];
        }
      }
#pragma clang loop unroll(disable)
      for (int r = 0; r < VL; r++) v[r] = shuffled[r];
    }
    for (size_t r = 0; r < width; r++) {
      store_first(out + (ptrdiff_t)(j + r) * out_row + (ptrdiff_t)i, height, v[r]);
    }
  }
}

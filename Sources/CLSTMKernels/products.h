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

// The left side of a product: numbers, or words of bytes with the scale of each row.
typedef struct factors {
  const float *at;
  ptrdiff_t row, step, block; // how far rows, numbers of a row, and those for further blocks of weights are apart
  const float *scale;
} factors;

INLINE int has_bytes(uint32_t format) { return format == LSTM_WEIGHTS_INT8 || format == LSTM_WEIGHTS_INT8_DOT; }

// Of a product whose factors are numbers or bytes, as the format of the weights wants them, those from row `row` on.
INLINE factors factors_of(uint32_t format, const float *numbers, ptrdiff_t numbers_row, const lstm_bytes *bytes,
                          ptrdiff_t row) {
  if (!has_bytes(format)) return (factors){numbers + row * numbers_row, numbers_row, 1, 0, NULL};
  return (factors){(const float *)(bytes->at + row * bytes->row), bytes->row / 4, 1, 0, bytes->scale + row};
}

// The right side: rows of words, and those of further blocks so far apart.
typedef struct weights {
  const float *at;
  ptrdiff_t row, block;
  int are_far;       // there are more of them than the second-level cache holds
  const float *soon; // what is wanted next: with each row, a line of 16 floats of it is fetched nearer
} weights;

// sum[i * rows + r][j] += the sum over k < count, in order, of the terms of word k of row r of a and vector j of row k of
// block i of b. More than one block for a single row only.
INLINE void accumulate(const int rows, const int blocks, const int format, const int vectors, vf (*sum)[4],
                       size_t count, factors a, weights b) {
  const int parts = parts_of_word(format);
  const ptrdiff_t a_next = format == LSTM_WEIGHTS_BFLOAT16 ? 2 * a.step : a.step;
  // A pointer for every four rows, of which the compiler may not know that they belong together: so each row is reached
  // by one addition within the load, where it would otherwise add a.row time after time.
  const float *four[MOST_ROWS / 4];
  UNROLL for (int i = 0; i < (rows + 3) / 4; i++) {
    four[i] = a.at + 4 * i * a.row;
    __asm__("" : "+r"(four[i]));
  }
  for (size_t k = 0; k < count; k++, b.at += b.row) {
    if (rows > 1 && format == LSTM_WEIGHTS_FLOAT32) {
      __builtin_prefetch(b.soon, 0, 2);
      b.soon += 16;
    }
    // One row uses up compressed weights faster than the processor fetches them ahead from far away by itself; from near
    // by it would only be in the way.
    if (rows == 1 && format != LSTM_WEIGHTS_FLOAT32 && b.are_far) {
      UNROLL for (int i = 0; i < blocks; i++) {
        UNROLL for (int l = 0; l < vectors * VL; l += 16) __builtin_prefetch(b.at + i * b.block + l + 256);
      }
    }
    // What there is less of, factors or columns, waits in registers. The others come one by one; nothing may be loaded
    // before the empty statement is reached, or the compiler loads them all and runs out of registers.
    if (rows < vectors) {
      UNROLL for (int i = 0; i < blocks; i++) {
        const float *const own = b.at + i * b.block;
        vf factor[2][4];
        UNROLL for (int h = 0; h < parts; h++) UNROLL for (int r = 0; r < rows; r++) {
          factor[h][r] = factor_of(format, h, four[0] + i * a.block + r * a.row, a.step);
        }
        UNROLL for (int j = 0; j < vectors; j++) {
          const vf words = load(own + j * VL);
          UNROLL for (int h = 0; h < parts; h++) UNROLL for (int r = 0; r < rows; r++) {
            vf *const to = &sum[i * rows + r][j];
            *to = with_term(format, factor[h][r], weights_of(format, h, words), *to);
          }
          __asm__ volatile("");
        }
      }
    } else {
      UNROLL for (int h = 0; h < parts; h++) {
        vf column[4];
        UNROLL for (int j = 0; j < vectors; j++) column[j] = weights_of(format, h, load(b.at + j * VL));
        UNROLL for (int r = 0; r < rows; r++) {
          const vf factor = factor_of(format, h, four[r / 4] + r % 4 * a.row, a.step);
          UNROLL for (int j = 0; j < vectors; j++) sum[r][j] = with_term(format, factor, column[j], sum[r][j]);
          __asm__ volatile("");
        }
      }
    }
    UNROLL for (int i = 0; i < (rows + 3) / 4; i++) four[i] += a_next;
  }
}

// A tile of a product with compressed weights: TILE rows, or one row of one or two blocks. Its sums are z[row or block].
typedef struct tile {
  size_t rows, blocks, depth;
  factors a;
  weights b;
  vf (*z)[4];
} tile;

// The height of the next tile. There are few, for each is compiled for every format.
INLINE size_t next_compressed_height(size_t rows) { return rows >= TILE ? TILE : 1; }

// Adds the products of numbers to its sums.
INLINE void add_numbers(const int rows, const int blocks, const int format, const int vectors, const tile *t) {
  vf sum[MOST_ROWS][4];
  UNROLL for (int i = 0; i < rows * blocks; i++) UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = t->z[i][j];
  // A last row without a second in its words is multiplied with a copy of its factors beside zeros, whose product with the
  // -0 in the other half of the words changes no sum. The compiler is kept from writing this out twice.
  float last[TILE][2];
  size_t count = t->depth / 2;
  factors a = t->a;
  weights b = t->b;
#pragma clang loop unroll(disable)
  for (size_t odd = 0; odd <= t->depth % 2; odd++) {
    accumulate(rows, blocks, format, vectors, sum, count, a, b);
    if (odd == t->depth % 2) break;
    b.at += (ptrdiff_t)count * b.row;
    UNROLL for (int r = 0; r < rows; r++) {
      last[r][0] = a.at[r * a.row + (ptrdiff_t)(t->depth - 1) * a.step];
      last[r][1] = 0;
    }
    a = (factors){last[0], 2, 1, 0, NULL};
    count = 1;
  }
  UNROLL for (int i = 0; i < rows * blocks; i++) UNROLL for (int j = 0; j < vectors; j++) t->z[i][j] = sum[i][j];
}

// Adds the products of integers, times their scales, to its sums.
INLINE void add_integers(const int rows, const int blocks, const int format, const int vectors, const tile *t) {
  vf sum[MOST_ROWS][4];
  UNROLL for (int i = 0; i < blocks; i++) UNROLL for (int r = 0; r < rows; r++)
      UNROLL for (int j = 0; j < vectors; j++) {
    sum[i * rows + r][j] = load(t->b.at + i * t->b.block + t->b.row + j * VL);
  }
  const weights words = {t->b.at + 2 * t->b.row, t->b.row, t->b.block, t->b.are_far, NULL};
  accumulate(rows, blocks, format, vectors, sum, (t->depth + 3) / 4, t->a, words);
  UNROLL for (int i = 0; i < blocks; i++) UNROLL for (int r = 0; r < rows; r++)
      UNROLL for (int j = 0; j < vectors; j++) {
    vf *const to = &t->z[i * rows + r][j];
    const vf scale = t->a.scale[r] * load(t->b.at + i * t->b.block + j * VL);
    *to = muladd(__builtin_convertvector((vi)sum[i * rows + r][j], vf), scale, *to);
  }
}

INLINE void add_shape(const int rows, const int blocks, const int format, const int vectors, const tile *t) {
  if (has_bytes(format)) {
    add_integers(rows, blocks, format, vectors, t);
  } else {
    add_numbers(rows, blocks, format, vectors, t);
  }
}

INLINE void add_format(const int format, const int vectors, const tile *t) {
  if (t->rows == TILE) {
    add_shape(TILE, 1, format, vectors, t);
  } else if (t->blocks == 2) {
    add_shape(1, 2, format, vectors, t);
  } else {
    add_shape(1, 1, format, vectors, t);
  }
}

INLINE void add_vectors(const int vectors, uint32_t format, const tile *t) {
  switch (format) {
  case LSTM_WEIGHTS_BFLOAT16:
    add_format(LSTM_WEIGHTS_BFLOAT16, vectors, t);
    break;
  case LSTM_WEIGHTS_INT8:
    add_format(LSTM_WEIGHTS_INT8, vectors, t);
    break;
#ifdef DOT_BYTES
  case LSTM_WEIGHTS_INT8_DOT:
    add_format(LSTM_WEIGHTS_INT8_DOT, vectors, t);
    break;
#endif
  }
}

// Adds the products of a tile, three or four vectors wide, to its sums.
static __attribute__((noinline)) void add_tile(int vectors, uint32_t format, const tile *t) {
  if (vectors == 3) {
    add_vectors(3, format, t);
  } else {
    add_vectors(4, format, t);
  }
}

// When weights do not stay near, the time of the tiles that find theirs near, since others have used them before, serves to
// bring the next ones: each of the first tiles fetches a part, of `depth` lines of 16 floats. NULL: they have been.
INLINE const float *part_of(const float *next, ptrdiff_t tile, int vectors, size_t depth) {
  return tile * 16 < vectors * VL ? next + tile * 16 * (ptrdiff_t)depth : NULL;
}

// A matrix in memory: its rows so many floats apart, and where in a row its vectors are.
typedef struct place {
  float *at;
  ptrdiff_t row;
  const ptrdiff_t *vector;
} place;

// The rows of `c` from those of `left`; the sums start with what lies at `start`.
INLINE void product_tile(const int rows, const int vectors, const lstm_product *p, factors left, const float *soon,
                         place start, place c) {
  vf sum[MOST_ROWS][4];
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int j = 0; j < vectors; j++) {
    sum[r][j] = load(start.at + r * start.row + start.vector[j]);
    // A C that is added to may be far away: the next tile's is fetched.
    if (start.row) __builtin_prefetch(start.at + (rows + r) * start.row + start.vector[j], 1, 2);
  }
  weights b = {p->b, p->b_row, 0, 0, soon};
  for (size_t q = 0; q < p->chunks; q++, left.at += p->a_chunk, b.at += p->b_chunk, b.soon += 16 * p->depth) {
    accumulate(rows, 1, LSTM_WEIGHTS_FLOAT32, vectors, sum, p->depth, left, b);
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
  factors a = {p->a, p->a_row, p->a_step, 0, NULL};
  size_t rows;
  ptrdiff_t tile = 0;
  for (size_t left = p->rows; left > 0; left -= rows, tile++) {
    rows = next_height(vectors, left);
    if (p->tiled) a.step = (ptrdiff_t)rows;
    const float *const soon = p->next ? part_of(p->next, tile, vectors, p->depth * p->chunks) : NULL;
    WITH_CONSTANT_ROWS(rows, vectors, product_tile, vectors, p, a, soon ? soon : p->b, start, c);
    a.at += p->tiled ? (ptrdiff_t)(rows * p->depth) : (ptrdiff_t)rows * p->a_row;
    start.at += (ptrdiff_t)rows * start.row;
    c.at += (ptrdiff_t)rows * c.row;
  }
}

INLINE void copy_tile(const int rows, const float *a, ptrdiff_t a_step, size_t depth, float *out) {
  for (size_t k = 0; k < depth; k++, a += a_step, out += rows) {
    float row[MOST_ROWS];
    UNROLL for (int r = 0; r < rows; r++) row[r] = a[r];
    UNROLL for (int r = 0; r < rows; r++) out[r] = row[r];
  }
}

// A few k for all tiles before the next, so that what is read of a row of memory is read at once.
static void pack_tiles(size_t vectors, size_t rows, size_t depth, const float *a, ptrdiff_t a_step, float *out) {
  enum { FEW = 8 };
  const int width = (int)vectors;
  for (size_t k = 0; k < depth; k += FEW) {
    const size_t count = depth - k < FEW ? depth - k : FEW;
    const float *from = a + (ptrdiff_t)k * a_step;
    float *to = out;
    size_t height;
    for (size_t left = rows; left > 0; left -= height, from += height, to += height * depth) {
      height = next_height(width, left);
      WITH_CONSTANT_ROWS(height, width, copy_tile, from, a_step, count, to + k * height);
    }
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

// With compressed weights. Vectors without a valid lane are made too and left out.
static __attribute__((noinline)) void compressed_product(const lstm_product *p) {
  vf z[TILE][4];
  for (size_t row = 0, rows; row < p->rows; row += rows) {
    rows = next_compressed_height(p->rows - row);
    const tile t = {rows,
                    1,
                    p->depth,
                    factors_of(p->format, p->a, p->a_row, &p->a_bytes, (ptrdiff_t)row),
                    {p->b, p->b_row, 0, 0, NULL},
                    z};
    for (size_t out = 0; out < 2; out++) {
      for (size_t r = 0; r < rows; r++) {
        for (int j = 0; j < 4; j++) {
          float *const c = p->c + (ptrdiff_t)(row + r) * p->c_row + p->c_vector[j];
          if (out) {
            if (p->valid[j]) store_first(c, p->valid[j], z[r][j]);
          } else if (p->start == LSTM_FROM_C) {
            z[r][j] = p->valid[j] ? load_first(c, p->valid[j]) : (vf)0;
          } else {
            z[r][j] = p->start == LSTM_FROM_ROW && p->valid[j] ? load(p->first + j * VL) : (vf)0;
          }
        }
      }
      if (!out) add_tile(4, p->format, &t);
    }
  }
}

// The chains of one column, side by side.
typedef float chains __attribute__((ext_vector_type(LSTM_CHAINS)));
typedef chains chains_in_memory __attribute__((aligned(4)));

// The first m numbers at p, and zeros. By address, as sum_of_doubles.
INLINE void load_chains(const float *p, size_t m, chains *to) {
  float first[LSTM_CHAINS] = {0};
  if (m < LSTM_CHAINS) {
#pragma clang loop unroll(disable)
    for (size_t i = 0; i < m; i++) first[i] = p[i];
    p = first;
  }
  *to = *(const chains_in_memory *)p;
}

INLINE void column_rows(const int rows, const lstm_product *p, size_t row) {
  const float *const a = p->a + (ptrdiff_t)row * p->a_row;
  chains sum[4] = {0};
  for (size_t k = 0; k < p->depth; k += LSTM_CHAINS) {
    const size_t m = p->depth - k < LSTM_CHAINS ? p->depth - k : LSTM_CHAINS;
    chains x, w;
    load_chains(p->b + k, m, &w);
    UNROLL for (int r = 0; r < rows; r++) {
      load_chains(a + r * p->a_row + k, m, &x);
#if FMA
      sum[r] = __builtin_elementwise_fma(x, w, sum[r]);
#else
      sum[r] = x * w + sum[r];
#endif
    }
  }
  UNROLL for (int r = 0; r < rows; r++) {
    float *const c = p->c + (ptrdiff_t)(row + (size_t)r) * p->c_row + p->c_vector[0];
    const __typeof__(sum[r].lo) four = sum[r].lo + sum[r].hi;
    const __typeof__(four.lo) two = four.lo + four.hi;
    *c = two.x + two.y + p->first[0];
  }
}

static __attribute__((noinline)) void column_product(const lstm_product *p) {
  size_t row = 0;
  for (; row + 4 <= p->rows; row += 4) column_rows(4, p, row);
  for (; row < p->rows; row++) column_rows(1, p, row);
}

// A few columns: every row takes the chains of a vector by itself.
static __attribute__((noinline)) void narrow_product(const lstm_product *p) {
  for (size_t row = 0; row < p->rows; row++) {
    const float *const a = p->a + (ptrdiff_t)row * p->a_row;
    for (int j = 0; j < 4 && p->valid[j]; j++) {
      vf sum[LSTM_CHAINS] = {0};
      const float *b = p->b + j * VL;
      for (size_t k = 0; k < p->depth; k += LSTM_CHAINS, b += LSTM_CHAINS * p->b_row) {
        UNROLL for (int i = 0; i < LSTM_CHAINS; i++) {
          if (k + (size_t)i < p->depth) sum[i] = muladd(a[k + (size_t)i], load(b + i * p->b_row), sum[i]);
        }
      }
      UNROLL for (int n = LSTM_CHAINS / 2; n > 0; n /= 2) UNROLL for (int i = 0; i < n; i++) sum[i] += sum[i + n];
      store_first(p->c + (ptrdiff_t)row * p->c_row + p->c_vector[j], p->valid[j], sum[0] + load(p->first + j * VL));
    }
  }
}

static void product(const lstm_product *p) {
  if (p->narrow) {
    if (p->b_row == 1) {
      column_product(p);
    } else {
      narrow_product(p);
    }
    return;
  }
  if (p->format != LSTM_WEIGHTS_FLOAT32) {
    compressed_product(p);
    return;
  }
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

// One timestep of LSTM and GRU units, forwards and backwards.
//
// A cell here is one row's share of a block: a vector of units. Cells are made in groups, first all their sums, which
// pass through memory once, then all the rest in two loops, each short enough that the processor overlaps several cells
// of it. A group is rows of a block or, when there is but one row, blocks.
//
// What takes `standard`, a constant, is compiled once for each pair of activations that WITH_PAIR names, and once for
// all others, with a call for each activation.

// Calls f(standard, inner, outer, ...).
#define WITH_PAIR(inner, outer, f, ...)                                                                                \
  if ((inner) == LSTM_TANH && (outer) == LSTM_SIGMOID) {                                                               \
    f(1, LSTM_TANH, LSTM_SIGMOID, __VA_ARGS__);                                                                        \
  } else if ((inner) == LSTM_FAST_TANH && (outer) == LSTM_FAST_SIGMOID) {                                              \
    f(1, LSTM_FAST_TANH, LSTM_FAST_SIGMOID, __VA_ARGS__);                                                              \
  } else {                                                                                                             \
    f(0, inner, outer, __VA_ARGS__);                                                                                   \
  }

INLINE vf activated(const int standard, uint32_t kind, vf x) {
  return standard ? activation(kind, x) : any_activation(kind, x);
}

INLINE vf slope_of(const int standard, uint32_t kind, vf x, vf y) {
  return standard ? slope(kind, x, y) : any_slope(kind, x, y);
}

#define MOST_CELLS (2 * TILE)

// A group of cells: the first of them, and how far each lies from the one before.
typedef struct cells {
  size_t count, units, fewer_units; // the units of a cell are VL or fewer
  const uint8_t *mask;
  size_t mask_step;
  const float *c;
  float *c_next;
  ptrdiff_t c_step;
  const float *h_own;
  ptrdiff_t h_own_step;
  float *h_next;
  ptrdiff_t h_next_step;
  float *gates;
  ptrdiff_t gates_step;
} cells;

INLINE size_t units_of(const cells *p, size_t cell) {
  const size_t units = p->units - cell * p->fewer_units;
  return units < VL ? units : VL;
}

INLINE int is_masked(const cells *p, size_t cell) { return p->mask && !p->mask[cell * p->mask_step]; }

INLINE void keep_gate(const cells *p, size_t cell, int gate, vf v) {
  if (p->gates && !is_masked(p, cell)) store(p->gates + (ptrdiff_t)cell * p->gates_step + gate * VL, v);
}

INLINE void set_h_next(const cells *p, size_t cell, vf h) {
  const size_t units = units_of(p, cell);
  float *const at = p->h_next + (ptrdiff_t)cell * p->h_next_step;
  if (is_masked(p, cell)) h = load_first(p->h_own + (ptrdiff_t)cell * p->h_own_step, units);
  store_first(at, units, h);
}

INLINE void lstm_finish(const int standard, uint32_t inner, uint32_t outer, const cells *p, vf (*z)[4]) {
  vf next[MOST_CELLS], o[MOST_CELLS];
  for (size_t at = 0; at < p->count; at++) {
    const vf g = activated(standard, inner, z[at][2]), i = activated(standard, outer, z[at][0]);
    const vf f = activated(standard, outer, z[at][1]);
    o[at] = activated(standard, outer, z[at][3]);
    next[at] = muladd(f, load(p->c + (ptrdiff_t)at * p->c_step), i * g);
    const vf gate[4] = {i, f, g, o[at]};
    UNROLL for (int j = 0; j < 4; j++) keep_gate(p, at, j, standard ? gate[j] : z[at][j]);
  }
  for (size_t at = 0; at < p->count; at++) {
    const vf c = load(p->c + (ptrdiff_t)at * p->c_step);
    set_h_next(p, at, o[at] * activated(standard, inner, next[at]));
    store(p->c_next + (ptrdiff_t)at * p->c_step, is_masked(p, at) ? c : next[at]);
  }
}

INLINE void gru_finish(const int standard, uint32_t inner, uint32_t outer, const cells *p, vf (*sum)[4]) {
  vf before[MOST_CELLS], z[MOST_CELLS];
  for (size_t at = 0; at < p->count; at++) {
    const vf r = activated(standard, outer, sum[at][1]), m = sum[at][3];
    z[at] = activated(standard, outer, sum[at][2]);
    before[at] = muladd(r, m, sum[at][0]);
    const vf gate[4] = {sum[at][0], r, z[at], m};
    UNROLL for (int j = standard; j < 4; j++) keep_gate(p, at, j, standard ? gate[j] : sum[at][j]);
  }
  for (size_t at = 0; at < p->count; at++) {
    const vf h = load_first(p->h_own + (ptrdiff_t)at * p->h_own_step, units_of(p, at));
    const vf n = activated(standard, inner, before[at]);
    if (standard) keep_gate(p, at, 0, n);
    set_h_next(p, at, muladd(z[at], h - n, n));
  }
}

// For the many pairs one function does.
static __attribute__((noinline)) void finish_any(int gru, uint32_t inner, uint32_t outer, const cells *p, vf (*z)[4]) {
  if (gru) {
    gru_finish(0, inner, outer, p, z);
  } else {
    lstm_finish(0, inner, outer, p, z);
  }
}

INLINE void finish(const int standard, uint32_t inner, uint32_t outer, const int gru, const cells *p, vf (*z)[4]) {
  if (!standard) {
    finish_any(gru, inner, outer, p, z);
  } else if (gru) {
    gru_finish(1, inner, outer, p, z);
  } else {
    lstm_finish(1, inner, outer, p, z);
  }
}

// What the sums of a block's row start with, and how far the starts of the next row and of the next block are from it.
typedef struct start {
  const float *at;
  ptrdiff_t row, block;
} start;

typedef float gathered[MOST_ROWS][4 * VL];

// Brings together what rows of some blocks start with that is looked up, and fetches what the next step will look up.
static __attribute__((noinline)) void gather_starts(const lstm_cell_forward *p, ptrdiff_t block, ptrdiff_t row,
                                                    size_t rows, size_t blocks, gathered to) {
  const float *from = p->begin + block * p->begin_block;
  for (size_t i = 0; i < blocks; i++, from += p->begin_block, to += rows) {
    for (size_t r = 0; r < rows; r++) {
      const float *const own = from + p->place[row + (ptrdiff_t)r] * p->begin_row;
      const float *const soon = from + p->soon[row + (ptrdiff_t)r] * p->begin_row;
      UNROLL for (int l = 0; l < 4 * VL; l += 16) __builtin_prefetch(soon + l);
      UNROLL for (int j = 0; j < 4; j++) store(to[r] + j * VL, load(own + j * VL));
    }
  }
}

// `room` is for what is looked up.
INLINE start start_of(const lstm_cell_forward *p, ptrdiff_t block, ptrdiff_t row, size_t rows, size_t blocks,
                      gathered room) {
  if (!p->begin) return (start){p->bias + block * 4 * VL, 0, 4 * VL};
  if (!p->place) return (start){p->begin + block * p->begin_block + row * p->begin_row, p->begin_row, p->begin_block};
  gather_starts(p, block, row, rows, blocks, room);
  return (start){room[0], 4 * VL, 4 * VL * (ptrdiff_t)rows};
}

// GRU between x and h: n is ready, and from here on the sums are those of r, z and m.
INLINE void turn_to_h(vf *z, vf *sum, const float *from) {
  z[0] = sum[0];
  sum[0] = sum[1];
  sum[1] = sum[2];
  sum[2] = load(from + 3 * VL);
}

// The sums of a tile: rows of a block, or a row of two blocks.
INLINE void sums_of(const int rows, const int blocks, const int gru, const lstm_cell_forward *p, ptrdiff_t block,
                    ptrdiff_t row, vf (*z)[4]) {
  const int vectors = gru ? 3 : 4;
  const ptrdiff_t b_row = vectors * VL, b_block = p->weights_block;
  gathered room;
  const start from = start_of(p, block, row, (size_t)rows, (size_t)blocks, room);
  vf sum[MOST_ROWS][4];
  UNROLL for (int i = 0; i < blocks; i++) UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int j = 0; j < vectors; j++) sum[i * rows + r][j] =
        load(from.at + i * from.block + r * from.row + j * VL);
  }
  factors a = {p->x + row * p->x_row, p->x_row, 1, 0, NULL};
  const float *const own = p->weights + block * b_block, *const next = p->from_last ? own - b_block : own + b_block;
  const int is_last = p->from_last ? block == 0 : (size_t)(block + 1) * VL >= p->units;
  const float *const soon = is_last ? NULL : part_of(next, row / TILE, vectors, p->inputs + p->hidden);
  weights b = {own, b_row, b_block, 0, soon ? soon : own};
  size_t depth = p->inputs;
  // First x, then h. The compiler is kept from writing this out twice.
#pragma clang loop unroll(disable)
  for (int recurrent = 0; recurrent < 2; recurrent++) {
    accumulate(rows, blocks, LSTM_WEIGHTS_FLOAT32, vectors, sum, depth, a, b);
    if (gru && !recurrent) {
      UNROLL for (int i = 0; i < blocks; i++) UNROLL for (int r = 0; r < rows; r++) {
        turn_to_h(z[i * rows + r], sum[i * rows + r], from.at + i * from.block + r * from.row);
      }
    }
    b.at += (ptrdiff_t)depth * b_row;
    b.soon += 16 * depth;
    a = (factors){p->h + row * p->h_row, p->h_row, 1, 0, NULL};
    depth = p->hidden;
  }
  UNROLL for (int i = 0; i < rows * blocks; i++) UNROLL for (int j = 0; j < vectors; j++) z[i][gru + j] = sum[i][j];
}

// The sums of a row of a block, the halves of h side by side: of few hidden units the wait for one long chain is a large
// part of a step.
INLINE void sums_in_halves(const int gru, const lstm_cell_forward *p, ptrdiff_t block, ptrdiff_t row, vf *z) {
  const int vectors = gru ? 3 : 4;
  const ptrdiff_t half = (ptrdiff_t)(p->hidden / 2), b_row = vectors * VL;
  const float *const x = p->x + row * p->x_row, *const h = p->h + row * p->h_row;
  gathered room;
  const float *const from = start_of(p, block, row, 1, 1, room).at;
  const float *b = p->weights + block * p->weights_block;
  vf sum[2][4];
  UNROLL for (int j = 0; j < vectors; j++) {
    sum[0][j] = load(from + j * VL);
    sum[1][j] = 0;
  }
  const uint32_t format = LSTM_WEIGHTS_FLOAT32;
  accumulate(1, 1, format, vectors, sum, p->inputs, (factors){x, 0, 1, 0, NULL}, (weights){b, b_row, 0, 0, NULL});
  if (gru) turn_to_h(z, sum[0], from);
  b += (ptrdiff_t)p->inputs * b_row;
  accumulate(1, 2, format, vectors, sum, (size_t)half, (factors){h, 0, 1, half, NULL},
             (weights){b, b_row, half * b_row, 0, NULL});
  accumulate(1, 1, format, vectors, sum + 1, p->hidden % 2, (factors){h + 2 * half, 0, 1, 0, NULL},
             (weights){b + 2 * half * b_row, b_row, 0, 0, NULL});
  UNROLL for (int j = 0; j < vectors; j++) z[gru + j] = sum[0][j] + sum[1][j];
}

// The same with compressed weights.
static __attribute__((noinline)) void compressed_sums(const int gru, const lstm_cell_forward *p, ptrdiff_t block,
                                                      ptrdiff_t row, size_t rows, size_t blocks, vf (*z)[4]) {
  gathered room;
  const start from = start_of(p, block, row, rows, blocks, room);
  for (size_t i = 0; i < blocks; i++)
    for (size_t r = 0; r < rows; r++) UNROLL for (int j = 0; j < 4; j++) {
        z[i + r][j] = load(from.at + (ptrdiff_t)i * from.block + (ptrdiff_t)r * from.row + j * VL);
      }
  const ptrdiff_t b_row = (gru ? 3 : 4) * VL, b_block = p->weights_block;
  tile t = {rows,
            blocks,
            p->inputs,
            factors_of(p->format, p->x, p->x_row, &p->x_bytes, row),
            {p->weights + block * b_block, b_row, b_block, b_block * (ptrdiff_t)(p->units / VL) > (3 << 16), NULL},
            z};
  if (p->inputs) {
    add_tile(gru ? 3 : 4, p->format, &t);
    t.b.at += (ptrdiff_t)rows_of_words(p->format, p->inputs) * b_row;
  }
  t.depth = p->hidden;
  t.a = factors_of(p->format, p->h, p->h_row, &p->h_bytes, row);
  // Of GRU's vectors x has a part in the first three, h in the last three.
  t.z = (vf(*)[4])(&z[0][gru]);
  add_tile(gru ? 3 : 4, p->format, &t);
}

// `across`: the cells are blocks, else rows.
INLINE cells group_of(const lstm_cell_forward *p, const int across, size_t count, ptrdiff_t block, ptrdiff_t row) {
  return (cells){
      .count = count,
      .units = p->units - (size_t)block * VL,
      .fewer_units = across ? VL : 0,
      .mask = p->mask ? p->mask + row : NULL,
      .mask_step = !across,
      .c = p->c + block * p->c_block + row * p->c_row,
      .c_next = p->c_next + block * p->c_block + row * p->c_row,
      .c_step = across ? p->c_block : p->c_row,
      .h_own = p->h_own + row * p->h_row + block * VL,
      .h_own_step = across ? VL : p->h_row,
      .h_next = p->h_next + row * p->h_next_row + block * VL,
      .h_next_step = across ? VL : p->h_next_row,
      .gates = p->gates ? p->gates + block * p->gates_block + row * 4 * VL : NULL,
      .gates_step = across ? p->gates_block : 4 * VL,
  };
}

// The sums of all cells of a group of rows.
INLINE void sums_of_rows(const int gru, const lstm_cell_forward *p, size_t count, size_t block, size_t row,
                         vf (*z)[4]) {
  size_t made;
  for (size_t done = 0; done < count; done += made) {
    const ptrdiff_t at = (ptrdiff_t)(row + done);
    if (p->format != LSTM_WEIGHTS_FLOAT32) {
      made = next_compressed_height(count - done);
      compressed_sums(gru, p, (ptrdiff_t)block, at, made, 1, z + done);
    } else if (p->hidden <= LSTM_HALVED_HIDDEN) {
      made = 1;
      sums_in_halves(gru, p, (ptrdiff_t)block, at, z[done]);
    } else {
      made = next_height(4, count - done);
      WITH_CONSTANT_ROWS(made, 4, sums_of, 1, gru, p, (ptrdiff_t)block, at, z + done);
    }
  }
}

// The sums of all cells of a group of blocks, two at a time: a row of one block has too few to keep the multipliers busy.
INLINE void sums_of_blocks(const int gru, const lstm_cell_forward *p, size_t count, size_t block, vf (*z)[4]) {
  if (p->format == LSTM_WEIGHTS_FLOAT32 && p->hidden <= LSTM_HALVED_HIDDEN) {
    for (size_t i = 0; i < count; i++) sums_in_halves(gru, p, (ptrdiff_t)(block + i), 0, z[i]);
    return;
  }
  size_t made;
  for (size_t done = 0; done < count; done += made) {
    made = count - done >= 2 ? 2 : 1;
    const size_t at = p->from_last ? count - done - made : done;
    const ptrdiff_t in = (ptrdiff_t)(block + at);
    if (p->format != LSTM_WEIGHTS_FLOAT32) {
      compressed_sums(gru, p, in, 0, 1, made, z + at);
    } else if (made == 2) {
      sums_of(1, 2, gru, p, in, 0, z + at);
    } else {
      sums_of(1, 1, gru, p, in, 0, z + at);
    }
  }
}

INLINE void forward(const int gru, const lstm_cell_forward *p) {
  const uint32_t inner = p->activation, outer = p->recurrent_activation;
  const size_t blocks = (p->units + VL - 1) / VL;
  vf z[MOST_CELLS][4];
  if (p->rows == 1 && blocks == 1 && p->hidden <= LSTM_HALVED_HIDDEN && p->format == LSTM_WEIGHTS_FLOAT32) {
    // A cell alone goes from sum to state in registers.
    const cells lone = group_of(p, 0, 1, 0, 0);
    sums_in_halves(gru, p, 0, 0, z[0]);
    WITH_PAIR(inner, outer, finish, gru, &lone, z);
    return;
  }
  const int across = p->rows == 1;
  const size_t step = across ? MOST_CELLS : 1, groups = (blocks + step - 1) / step;
  for (size_t i = 0; i < groups; i++) {
    const size_t block = (p->from_last ? groups - 1 - i : i) * step;
    for (size_t row = 0; row < p->rows; row += MOST_CELLS) {
      const size_t left = across ? blocks - block : p->rows - row, count = left < MOST_CELLS ? left : MOST_CELLS;
      const cells group = group_of(p, across, count, (ptrdiff_t)block, (ptrdiff_t)row);
      if (across) {
        sums_of_blocks(gru, p, count, block, z);
      } else {
        sums_of_rows(gru, p, count, block, row, z);
      }
      WITH_PAIR(inner, outer, finish, gru, &group, z);
    }
  }
}

static void lstm_forward(const lstm_cell_forward *p) { forward(0, p); }
static void gru_forward(const lstm_cell_forward *p) { forward(1, p); }

INLINE void lstm_row_backward(const int standard, uint32_t inner, uint32_t outer, const lstm_cell_backward *p,
                              ptrdiff_t block, ptrdiff_t row, size_t units) {
  const vi live = first_lanes(units);
  const ptrdiff_t c_at = block * p->c_block + row * VL;
  float *const gates = p->gates + block * p->gates_block + row * 4 * VL, *const dc_at = p->dc + c_at;
  float *const dh_at = p->dh + row * p->dh_row + block * VL;
  vf z[4], gate[4], gate_slope[4];
  UNROLL for (int j = 0; j < 4; j++) {
    const uint32_t kind = j == 2 ? inner : outer;
    z[j] = load(gates + j * VL);
    gate[j] = standard ? z[j] : any_activation(kind, z[j]);
    gate_slope[j] = slope_of(standard, kind, z[j], gate[j]);
  }
  const vf c_next = load(p->c_next + c_at), dh = load_first(dh_at, units);
  const vf y = activated(standard, inner, c_next), y_slope = slope_of(standard, inner, c_next, y);
  const vf dc = muladd(dh * gate[3], y_slope, load(dc_at));
  const vf d[4] = {dc * gate[2], dc * load(p->c + c_at), dc * gate[0], dh * y};
  UNROLL for (int j = 0; j < 4; j++) store(gates + j * VL, live ? d[j] * gate_slope[j] : (vf)0);
  store(dc_at, live ? dc * gate[1] : (vf)0);
  store_first(dh_at, units, 0);
}

// n = f(a + r m), h_next = n + z (h - n).
INLINE void gru_row_backward(const int standard, uint32_t inner, uint32_t outer, const lstm_cell_backward *p,
                             ptrdiff_t block, ptrdiff_t row, size_t units) {
  const vi live = first_lanes(units);
  float *const gates = p->gates + block * p->gates_block + row * 4 * VL;
  float *const dh_at = p->dh + row * p->dh_row + block * VL;
  vf kept[4];
  UNROLL for (int j = 0; j < 4; j++) kept[j] = load(gates + j * VL);
  const vf m = kept[3], r = standard ? kept[1] : any_activation(outer, kept[1]);
  const vf z = standard ? kept[2] : any_activation(outer, kept[2]), before = muladd(r, m, kept[0]);
  const vf n = standard ? kept[0] : any_activation(inner, before);
  const vf h = load_first(p->h_own + row * p->h_row + block * VL, units), dh = load_first(dh_at, units);
  const vf dn = (dh - dh * z) * slope_of(standard, inner, before, n);
  const vf dr = dn * m * slope_of(standard, outer, kept[1], r),
           dz = dh * (h - n) * slope_of(standard, outer, kept[2], z);
  const vf d[4] = {dn, dr, dz, dn * r};
  UNROLL for (int j = 0; j < 4; j++) store(gates + j * VL, live ? d[j] : (vf)0);
  store_first(dh_at, units, dh * z);
}

INLINE void rows_backward(const int standard, uint32_t inner, uint32_t outer, const int gru,
                          const lstm_cell_backward *p) {
  for (size_t block = 0; block * VL < p->units; block++) {
    const size_t left = p->units - block * VL, units = left < VL ? left : VL;
    for (size_t row = 0; row < p->rows; row++) {
      const ptrdiff_t in = (ptrdiff_t)block, at = (ptrdiff_t)row;
      if (p->mask && !p->mask[row]) {
        UNROLL for (int j = 0; j < 4; j++) store(p->gates + in * p->gates_block + (at * 4 + j) * VL, 0);
      } else if (gru) {
        gru_row_backward(standard, inner, outer, p, in, at, units);
      } else {
        lstm_row_backward(standard, inner, outer, p, in, at, units);
      }
    }
  }
}

static void lstm_backward(const lstm_cell_backward *p) {
  WITH_PAIR(p->activation, p->recurrent_activation, rows_backward, 0, p);
}
static void gru_backward(const lstm_cell_backward *p) {
  WITH_PAIR(p->activation, p->recurrent_activation, rows_backward, 1, p);
}

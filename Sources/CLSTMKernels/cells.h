// One timestep of LSTM units, forwards and backwards. `standard`, a constant, says that the activations are tanh and
// sigmoid; for all others the same code is compiled once more, with a call for each activation.

INLINE int is_standard(uint32_t activation, uint32_t recurrent_activation) {
  return activation == LSTM_TANH && recurrent_activation == LSTM_SIGMOID;
}

INLINE int is_masked(const uint8_t *mask, size_t row) { return mask && !mask[row]; }

// The gates of a tile before activation.
INLINE void gates_tile(const int rows, const int vectors, const lstm_cell_forward *p, size_t row, vf (*z)[4]) {
  const ptrdiff_t at = (ptrdiff_t)row;
  vf sum[MOST_ROWS][4];
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int j = 0; j < 4; j++) sum[r][j] = load(p->bias + j * VL);
  accumulate(rows, vectors, sum, p->inputs, p->x + at * p->x_row, p->x_row, 1, p->weights, 4 * VL);
  accumulate(rows, vectors, sum, p->hidden, p->h + at * p->h_row, p->h_row, 1, p->weights + p->inputs * 4 * VL, 4 * VL);
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int j = 0; j < 4; j++) z[r][j] = sum[r][j];
}

// Two loops, for each alone is short enough that the processor overlaps several rows of it.
INLINE void finish_tile(const int standard, const lstm_cell_forward *p, size_t row, size_t rows, vf (*z)[4]) {
  const uint32_t inner = p->activation, outer = p->recurrent_activation;
  vf next[TILE], o[TILE];
  for (size_t r = 0; r < rows; r++) {
    const size_t at = row + r;
    const vf i = standard ? sigmoid(z[r][0]) : any_activation(outer, z[r][0]);
    const vf f = standard ? sigmoid(z[r][1]) : any_activation(outer, z[r][1]);
    const vf g = standard ? hyperbolic_tangent(z[r][2]) : any_activation(inner, z[r][2]);
    o[r] = standard ? sigmoid(z[r][3]) : any_activation(outer, z[r][3]);
    next[r] = muladd(f, load(p->c + at * VL), i * g);
    if (p->gates && !is_masked(p->mask, at)) {
      const vf kept[4] = {standard ? i : z[r][0], standard ? f : z[r][1], standard ? g : z[r][2],
                          standard ? o[r] : z[r][3]};
      UNROLL for (int j = 0; j < 4; j++) store(p->gates + (at * 4 + j) * VL, kept[j]);
    }
  }
  for (size_t r = 0; r < rows; r++) {
    const ptrdiff_t at = (ptrdiff_t)(row + r);
    const int masked = is_masked(p->mask, row + r);
    const vf y = standard ? hyperbolic_tangent(next[r]) : any_activation(inner, next[r]);
    store(p->c_next + at * VL, masked ? load(p->c + at * VL) : next[r]);
    store_first(p->h_next + at * p->h_next_row, p->units,
                masked ? load_first(p->h_own + at * p->h_row, p->units) : o[r] * y);
  }
}

static void lstm_forward(const lstm_cell_forward *p) {
  const int standard = is_standard(p->activation, p->recurrent_activation);
  for (size_t row = 0; row < p->rows; row += TILE) {
    const size_t rows = p->rows - row < TILE ? p->rows - row : TILE;
    // The sums pass through memory once: the code after them is long and then there once, not once for each height.
    vf z[MOST_ROWS][4];
    WITH_CONSTANT_ROWS(rows, 4, gates_tile, p, row, z);
    if (standard) {
      finish_tile(1, p, row, rows, z);
    } else {
      finish_tile(0, p, row, rows, z);
    }
  }
}

INLINE void step_row_backward(const int standard, const lstm_cell_backward *p, size_t row, vi live) {
  const uint32_t inner = p->activation, outer = p->recurrent_activation;
  const ptrdiff_t at = (ptrdiff_t)row;
  float *const gates = p->gates + at * 4 * VL, *const dc_at = p->dc + at * VL, *const dh_at = p->dh + at * p->dh_row;
  if (is_masked(p->mask, row)) {
    UNROLL for (int j = 0; j < 4; j++) store(gates + j * VL, 0);
    return;
  }
  vf z[4], gate[4], gate_slope[4];
  UNROLL for (int j = 0; j < 4; j++) {
    const uint32_t kind = j == 2 ? inner : outer;
    z[j] = load(gates + j * VL);
    gate[j] = standard ? z[j] : any_activation(kind, z[j]);
    gate_slope[j] = standard ? slope(j == 2 ? LSTM_TANH : LSTM_SIGMOID, z[j], z[j]) : any_slope(kind, z[j], gate[j]);
  }
  const vf c_next = load(p->c_next + at * VL), dh = load_first(dh_at, p->units);
  const vf y = standard ? hyperbolic_tangent(c_next) : any_activation(inner, c_next);
  const vf y_slope = standard ? slope(LSTM_TANH, c_next, y) : any_slope(inner, c_next, y);
  const vf dc = muladd(dh * gate[3], y_slope, load(dc_at));
  const vf d[4] = {dc * gate[2], dc * load(p->c + at * VL), dc * gate[0], dh * y};
  UNROLL for (int j = 0; j < 4; j++) store(gates + j * VL, live ? d[j] * gate_slope[j] : (vf)0);
  store(dc_at, live ? dc * gate[1] : (vf)0);
  store_first(dh_at, p->units, 0);
}

static void lstm_backward(const lstm_cell_backward *p) {
  const vi live = first_lanes(p->units);
  if (is_standard(p->activation, p->recurrent_activation)) {
    for (size_t row = 0; row < p->rows; row++) step_row_backward(1, p, row, live);
  } else {
    for (size_t row = 0; row < p->rows; row++) step_row_backward(0, p, row, live);
  }
}

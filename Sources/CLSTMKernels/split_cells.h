// Cells with options, from sums that are made: a row's share of a block at a time, all that is chosen at run time.

INLINE vf within(float limit, vf v) { return at_most(limit, at_least(-limit, v)); }
INLINE vf slope_within(float limit, vf v, vf d) { return magnitude(v) > limit ? (vf)0 : d; }
INLINE vf gate_of(uint32_t kind, float limit, vf z) { return any_activation(kind, within(limit, z)); }

// The gradient of the number before a gate, from that of the gate.
INLINE vf before_gate(uint32_t kind, float limit, vf z, vf y, vf d) {
  return slope_within(limit, z, d * any_slope(kind, within(limit, z), y));
}

INLINE vf mixed(vf keep, vf before, vf next) { return muladd(keep, before, (1 - keep) * next); }

// The shares that stay, of the units of a row; 0 where there are none.
INLINE vf kept_share(const float *keep, ptrdiff_t at, size_t units) { return keep ? load_first(keep + at, units) : 0; }

INLINE float *normal_at(const lstm_cell_options *o, size_t row, size_t block) {
  return o->normal + (ptrdiff_t)row * o->normal_row + (ptrdiff_t)block * VL;
}

// What both directions make of the sums of an LSTM; z includes the peepholes' part.
typedef struct lstm_values {
  vf z[4], i, f, g, o, unlimited, m, y;
} lstm_values;

// `peepholes`: those of the block, to be added to z, or NULL.
INLINE void lstm_values_of(const lstm_cell_options *p, uint32_t inner, uint32_t outer, const float *gates, vf c,
                           const float *peepholes, lstm_values *v) {
  const int second = p->coupled ? 1 : 2;
  const float limit = p->gate_limit;
  v->z[0] = load(gates);
  v->z[1] = load(gates + VL);
  v->z[2] = load(gates + second * VL);
  v->z[3] = load(gates + (second + 1) * VL);
  if (peepholes) v->z[0] = muladd(load(peepholes), c, v->z[0]);
  if (peepholes) v->z[1] = muladd(load(peepholes + VL), c, v->z[1]);
  v->i = gate_of(outer, limit, v->z[0]);
  v->f = p->coupled ? 1 - v->i : gate_of(outer, limit, v->z[1]);
  v->g = gate_of(inner, limit, v->z[2]);
  v->unlimited = muladd(v->f, c, v->i * v->g);
  v->m = within(p->memory_limit, v->unlimited);
  if (peepholes) v->z[3] = muladd(load(peepholes + 2 * VL), v->m, v->z[3]);
  v->o = gate_of(outer, limit, v->z[3]);
  v->y = any_activation(inner, v->m);
}

// The vectors of gates: those of z, or of their gradients.
INLINE void set_gates(const lstm_cell_options *p, float *gates, const vf *z, vi live) {
  const int second = p->coupled ? 1 : 2;
  store(gates, live ? z[0] : (vf)0);
  if (p->coupled) store(gates + 3 * VL, 0);
  if (!p->coupled) store(gates + VL, live ? z[1] : (vf)0);
  store(gates + second * VL, live ? z[2] : (vf)0);
  store(gates + (second + 1) * VL, live ? z[3] : (vf)0);
}

static void split_forward(const lstm_cell_forward *p) {
  const lstm_cell_options *const o = &p->options;
  const uint32_t inner = p->activation, outer = p->recurrent_activation;
  for (size_t block = 0; block * VL < p->units; block++) {
    const size_t left = p->units - block * VL, units = left < VL ? left : VL;
    for (size_t row = 0; row < p->rows; row++) {
      const ptrdiff_t in = (ptrdiff_t)block, at = (ptrdiff_t)row, keep_at = at * o->keep_row + in * VL;
      const ptrdiff_t c_at = in * p->c_block + at * p->c_row;
      float *const gates = p->gates + in * p->gates_block + at * 4 * VL;
      const vf h = load_first(p->h_own + at * p->h_row + in * VL, units);
      vf next = h;
      if (p->mask && !p->mask[row]) {
        if (!o->gru) store(p->c_next + c_at, load(p->c + c_at));
        if (o->normal) store_first(normal_at(o, row, block), units, load(p->c + c_at));
      } else if (o->gru) {
        const vf r = gate_of(outer, o->gate_limit, load(gates + VL)),
                 z = gate_of(outer, o->gate_limit, load(gates + 2 * VL));
        const vf n = gate_of(inner, o->gate_limit, muladd(r, load(gates + 3 * VL), load(gates)));
        next = mixed(kept_share(o->keep_h, keep_at, units), h, muladd(z, h - n, n));
      } else {
        const vf c = load(p->c + c_at);
        lstm_values v;
        lstm_values_of(o, inner, outer, gates, c, o->peepholes ? o->peepholes + in * 3 * VL : NULL, &v);
        if (o->peepholes) set_gates(o, gates, v.z, first_lanes(units));
        if (o->normal) store_first(normal_at(o, row, block), units, v.m);
        next = mixed(kept_share(o->keep_h, keep_at, units), h, v.o * v.y);
        store(p->c_next + c_at, mixed(kept_share(o->keep_c, keep_at, units), c, v.m));
      }
      store_first(p->h_next + at * p->h_next_row + in * VL, units, next);
    }
  }
}

// dh is that of what is not kept, d_normal that of m by way of h where it is normalized; returns the gradient with respect
// to c.
INLINE vf split_lstm_backward(const lstm_cell_backward *p, const lstm_values *v, ptrdiff_t block, vf c, vf dh, vf dc,
                              vf keep_c, vf d_normal, vf *d) {
  const lstm_cell_options *const o = &p->options;
  const uint32_t inner = p->activation, outer = p->recurrent_activation;
  const float *const peepholes = o->peepholes ? o->peepholes + block * 3 * VL : NULL;
  vf dm = dc * (1 - keep_c);
  if (o->normal) {
    d[3] = v->z[3];
    dm += d_normal;
  } else {
    d[3] = before_gate(outer, o->gate_limit, v->z[3], v->o, dh * v->y);
    dm = muladd(dh * v->o, any_slope(inner, v->m, v->y), dm);
  }
  if (peepholes) dm = muladd(d[3], load(peepholes + 2 * VL), dm);
  dm = slope_within(o->memory_limit, v->unlimited, dm);
  d[0] = before_gate(outer, o->gate_limit, v->z[0], v->i, dm * (o->coupled ? v->g - c : v->g));
  d[1] = o->coupled ? (vf)0 : before_gate(outer, o->gate_limit, v->z[1], v->f, dm * c);
  d[2] = before_gate(inner, o->gate_limit, v->z[2], v->g, dm * v->i);
  vf before = muladd(dm, v->f, dc * keep_c);
  if (peepholes) {
    before = muladd(d[0], load(peepholes), muladd(d[1], load(peepholes + VL), before));
    float *const to = o->d_peepholes + block * 3 * VL;
    store(to, muladd(d[0], c, load(to)));
    store(to + VL, muladd(d[1], c, load(to + VL)));
    store(to + 2 * VL, muladd(d[3], v->m, load(to + 2 * VL)));
  }
  return before;
}

// dh is that of what is not kept; returns the gradient with respect to h that passes the products by.
INLINE vf split_gru_backward(const lstm_cell_backward *p, const float *gates, vf h, vf dh, vf *d) {
  const float limit = p->options.gate_limit;
  const uint32_t inner = p->activation, outer = p->recurrent_activation;
  const vf zr = load(gates + VL), zz = load(gates + 2 * VL), m = load(gates + 3 * VL);
  const vf r = gate_of(outer, limit, zr), z = gate_of(outer, limit, zz), before = muladd(r, m, load(gates));
  const vf n = gate_of(inner, limit, before);
  d[0] = before_gate(inner, limit, before, n, dh - dh * z);
  d[1] = before_gate(outer, limit, zr, r, d[0] * m);
  d[2] = before_gate(outer, limit, zz, z, dh * (h - n));
  d[3] = d[0] * r;
  return dh * z;
}

static void split_backward(const lstm_cell_backward *p) {
  const lstm_cell_options *const o = &p->options;
  for (size_t block = 0; block * VL < p->units; block++) {
    const size_t left = p->units - block * VL, units = left < VL ? left : VL;
    const vi live = first_lanes(units);
    for (size_t row = 0; row < p->rows; row++) {
      const ptrdiff_t in = (ptrdiff_t)block, at = (ptrdiff_t)row, keep_at = at * o->keep_row + in * VL;
      float *const gates = p->gates + in * p->gates_block + at * 4 * VL, *const dh_at =
                                                                             p->dh + at * p->dh_row + in * VL;
      if (p->mask && !p->mask[row]) {
        UNROLL for (int j = 0; j < 4; j++) store(gates + j * VL, 0);
        continue;
      }
      const vf dh = load_first(dh_at, units), keep_h = kept_share(o->keep_h, keep_at, units);
      vf d[4], passing = dh * keep_h;
      if (o->gru) {
        const vf h = load_first(p->h_own + at * p->h_row + in * VL, units);
        passing += split_gru_backward(p, gates, h, dh * (1 - keep_h), d);
        UNROLL for (int j = 0; j < 4; j++) store(gates + j * VL, live ? d[j] : (vf)0);
      } else {
        const ptrdiff_t c_at = in * p->c_block + at * VL;
        const vf c = load(p->c + c_at), dc = load(p->dc + c_at), keep_c = kept_share(o->keep_c, keep_at, units);
        lstm_values v;
        lstm_values_of(o, p->activation, p->recurrent_activation, gates, c, NULL, &v);
        const vf d_normal = o->normal ? load_first(normal_at(o, row, block), units) : (vf)0;
        const vf before = split_lstm_backward(p, &v, in, c, dh * (1 - keep_h), dc, keep_c, d_normal, d);
        store(p->dc + c_at, live ? before : (vf)0);
        set_gates(o, gates, d, live);
      }
      store_first(dh_at, units, passing);
    }
  }
}

static void output_forward(const lstm_cell_forward *p) {
  const lstm_cell_options *const o = &p->options;
  for (size_t block = 0; block * VL < p->units; block++) {
    const size_t left = p->units - block * VL, units = left < VL ? left : VL;
    for (size_t row = 0; row < p->rows; row++) {
      if (p->mask && !p->mask[row]) continue;
      const ptrdiff_t in = (ptrdiff_t)block, at = (ptrdiff_t)row;
      const float *const z = p->gates + in * p->gates_block + (at * 4 + (o->coupled ? 2 : 3)) * VL;
      const vf gate = gate_of(p->recurrent_activation, o->gate_limit, load(z));
      const vf h = load_first(p->h_own + at * p->h_row + in * VL, units);
      const vf made = gate * any_activation(p->activation, load_first(normal_at(o, row, block), units));
      store_first(p->h_next + at * p->h_next_row + in * VL, units,
                  mixed(kept_share(o->keep_h, at * o->keep_row + in * VL, units), h, made));
    }
  }
}

static void output_backward(const lstm_cell_backward *p) {
  const lstm_cell_options *const o = &p->options;
  for (size_t block = 0; block * VL < p->units; block++) {
    const size_t left = p->units - block * VL, units = left < VL ? left : VL;
    for (size_t row = 0; row < p->rows; row++) {
      const ptrdiff_t in = (ptrdiff_t)block, at = (ptrdiff_t)row;
      float *const normal = normal_at(o, row, block);
      float *const z = p->gates + in * p->gates_block + (at * 4 + (o->coupled ? 2 : 3)) * VL;
      vf d = 0;
      if (!p->mask || p->mask[row]) {
        const vf gate = gate_of(p->recurrent_activation, o->gate_limit, load(z)), n = load_first(normal, units);
        const vf y = any_activation(p->activation, n), keep = kept_share(o->keep_h, at * o->keep_row + in * VL, units);
        const vf dh = load_first(p->dh + at * p->dh_row + in * VL, units) * (1 - keep);
        store(z, before_gate(p->recurrent_activation, o->gate_limit, load(z), gate, dh * y));
        d = dh * gate * any_slope(p->activation, n, y);
      }
      store_first(normal, units, d);
    }
  }
}

// One timestep of cells whose gates need nothing, or little, of the state before: the products of the inputs are there.

// ln(1 + y) for y from 0 to 1, as twice the inverse hyperbolic tangent of y / (2 + y), whose series ends soon. 1.5 ulp.
INLINE vf log1p_of_share(vf y) {
  const vf s = y / (y + 2), s2 = s * s;
  const vf low = muladd(s2, 2.0f / 5, 2.0f / 3), high = muladd(s2, 2.0f / 13, 2.0f / 11);
  const vf middle = muladd(s2, 2.0f / 9, 2.0f / 7), s4 = s2 * s2;
  return muladd(s * s2, muladd(muladd(high, s4, middle), s4, low), 2 * s);
}

// x + 1/2 from 0 on, below it sigmoid(x).
INLINE vf above_zero(vf x) { return x >= 0 ? x + 0.5f : sigmoid(x); }

INLINE vf slope_above_zero(vf x, vf y) { return x >= 0 ? (vf)1 : y * (1 - y); }

// 2^-30 (1 + e^-x).
INLINE vf inverse_sigmoid(vf x) { return one_plus_exp_minus(at_most(60, at_least(-104, x)), -30, 0x1p-30f); }

// What the new value weighs. With two gates the share of sigmoid(i) in sigmoid(i) + sigmoid(f), by their inverses, which
// do not underflow; they are left in `inverse`, that of i first.
INLINE vf weight_of_new(uint32_t gates, const float *x, ptrdiff_t gate, size_t m, vf *inverse) {
  if (gates == 1) return sigmoid(load_first(x, m));
  inverse[0] = inverse_sigmoid(load_first(x, m));
  inverse[1] = inverse_sigmoid(load_first(x + gate, m));
  return inverse[1] / (inverse[0] + inverse[1]);
}

static void minimal_forward(const lstm_scan *p) {
  const ptrdiff_t candidate = (ptrdiff_t)p->gates_of_weight * p->gate;
  for (size_t r = 0; r < p->rows; r++) {
    const ptrdiff_t row = (ptrdiff_t)r * p->row;
    const float *const x = p->x + (ptrdiff_t)r * p->x_row;
    FOR_VECTORS(i, m, p->units) {
      const vf h = load_first(p->h + row + i, m);
      vf next = h, inverse[2];
      if (!p->mask || p->mask[r]) {
        vf n = load_first(x + candidate + i, m);
        if (p->above_zero) n = above_zero(n);
        next = muladd(weight_of_new(p->gates_of_weight, x + i, p->gate, m, inverse), n - h, h);
      }
      store_first(p->h_next + row + i, m, next);
    }
  }
}

static void minimal_backward(const lstm_scan *p) {
  const ptrdiff_t candidate = (ptrdiff_t)p->gates_of_weight * p->gate;
  for (size_t r = 0; r < p->rows; r++) {
    const ptrdiff_t row = (ptrdiff_t)r * p->row, at = (ptrdiff_t)r * p->x_row;
    FOR_VECTORS(i, m, p->units) {
      float *const dx = p->dx + at + i;
      if (p->mask && !p->mask[r]) {
        for (ptrdiff_t at_gate = 0; at_gate <= candidate; at_gate += p->gate) store_first(dx + at_gate, m, 0);
        continue;
      }
      const float *const x = p->x + at + i;
      const vf before = load_first(x + candidate, m), n = p->above_zero ? above_zero(before) : before;
      const vf dh = load_first(p->dh + row + i, m), h = load_first(p->h + row + i, m);
      vf inverse[2];
      const vf w = weight_of_new(p->gates_of_weight, x, p->gate, m, inverse), dw = dh * (n - h) * w * (1 - w),
               dn = dh * w;
      if (candidate == p->gate) {
        store_first(dx, m, dw);
      } else {
        // The slopes of ln sigmoid(i) and of ln sigmoid(f).
        store_first(dx, m, dw * (inverse[0] - 0x1p-30f) / inverse[0]);
        store_first(dx + p->gate, m, -dw * (inverse[1] - 0x1p-30f) / inverse[1]);
      }
      store_first(dx + candidate, m, p->above_zero ? dn * slope_above_zero(before, n) : dn);
      store_first(p->dh + row + i, m, dh - dn);
    }
  }
}

// What exponential gates come to when both are divided by e^m, m the larger of their logarithms: one of them is 1.
typedef struct shares {
  vf lead;    // how far the old is ahead of the new, in logarithms: the other gate is e^-|lead|
  vf m;       // the next m
  vf closing; // the slope of ln sigmoid(f): 1 - sigmoid(f)
} shares;

// Where `fresh`, nothing is there yet and m says nothing.
INLINE shares shares_of(vf i, vf f, vf m, vi fresh) {
  const vf e = exp_minus(magnitude(f)), kept = at_most(0, f) - log1p_of_share(e) + m;
  const vf lead = fresh ? (vf)-200 : kept - i;
  return (shares){lead, lead > 0 ? kept : i, (f > 0 ? e : (vf)1) / (1 + e)};
}

// The gates of the new and of the old.
INLINE void gates_of(vf lead, vf *i, vf *f) {
  const vf less = exp_minus(magnitude(lead));
  *i = lead > 0 ? less : (vf)1;
  *f = lead > 0 ? (vf)1 : less;
}

static void slstm_forward(const lstm_scan *p) {
  for (size_t r = 0; r < p->rows; r++) {
    const ptrdiff_t row = (ptrdiff_t)r * p->row, at = (ptrdiff_t)r * p->x_row;
    FOR_VECTORS(u, m, p->units) {
      const ptrdiff_t state = row + (ptrdiff_t)u;
      vf c = load_first(p->c + state, m), n = load_first(p->n + state, m), h = load_first(p->h + state, m);
      if (!p->mask || p->mask[r]) {
        vf z[4], i, f;
        UNROLL for (int j = 0; j < 4; j++) {
          const ptrdiff_t gate = at + j * p->gate + (ptrdiff_t)u;
          z[j] = load_first(p->x + gate, m) + load_first(p->gates + gate, m);
        }
        const shares s = shares_of(z[0], z[1], load_first(p->m + state, m), n == 0);
        gates_of(s.lead, &i, &f);
        const vf kept[4] = {s.lead, s.closing, hyperbolic_tangent(z[2]), sigmoid(z[3])};
        c = muladd(f, c, i * kept[2]);
        n = muladd(f, n, i);
        h = kept[3] * (c / n);
        store_first(p->m + state, m, s.m);
        UNROLL for (int j = 0; j < 4; j++) store_first(p->gates + at + j * p->gate + (ptrdiff_t)u, m, kept[j]);
      }
      store_first(p->c_next + state, m, c);
      store_first(p->n_next + state, m, n);
      store_first(p->h_next + state, m, h);
    }
  }
}

// m is taken for a constant: every h is the same whatever m is. Nor does it change when c and n grow by one factor, so that
// the gradients of ln i and ln f together are that of the next step's ln f: the gate that is 1 has what the other one leaves
// of it, and all steps' gradients of i add up to nothing, as they should, with no rounding of larger numbers in the sum.
static void slstm_backward(const lstm_scan *p) {
  for (size_t r = 0; r < p->rows; r++) {
    const ptrdiff_t row = (ptrdiff_t)r * p->row, at = (ptrdiff_t)r * p->x_row;
    FOR_VECTORS(u, m, p->units) {
      const ptrdiff_t state = row + (ptrdiff_t)u;
      vf d[4] = {0, 0, 0, 0};
      if (!p->mask || p->mask[r]) {
        vf kept[4], i, f;
        UNROLL for (int j = 0; j < 4; j++) kept[j] = load_first(p->gates + at + j * p->gate + (ptrdiff_t)u, m);
        gates_of(kept[0], &i, &f);
        const vf z = kept[2], o = kept[3], n = with_rest(1, m, load_first(p->n_next + state, m));
        const vf ratio = load_first(p->c_next + state, m) / n, dh = load_first(p->dh + state, m), ds = dh * o / n;
        const vf dc = load_first(p->dc + state, m) + ds, dn = muladd(-ds, ratio, load_first(p->dn + state, m));
        const vf later = load_first(p->m + state, m), of_i = muladd(dc, z, dn) * i;
        const vf of_f = muladd(dc, load_first(p->c + state, m), dn * load_first(p->n + state, m)) * f;
        const vf df = kept[0] > 0 ? later - of_i : of_f;
        d[0] = kept[0] > 0 ? of_i : later - of_f;
        d[1] = df * kept[1];
        store_first(p->m + state, m, df);
        d[2] = dc * i * (1 - z * z);
        d[3] = dh * ratio * o * (1 - o);
        store_first(p->dc + state, m, dc * f);
        store_first(p->dn + state, m, dn * f);
        store_first(p->dh + state, m, 0);
      }
      UNROLL for (int j = 0; j < 4; j++) store_first(p->dx + at + j * p->gate + (ptrdiff_t)u, m, d[j]);
    }
  }
}

static void exponential_gates(size_t n, const float *i, const float *f, float *m, float *gates) {
  FOR_VECTORS(at, k, n) {
    const shares s = shares_of(load_first(i + at, k), load_first(f + at, k), load_first(m + at, k), (vi)(vf)0);
    // Beyond these limits what is divided by it is 0 or infinite in float all the same.
    const vf near = at_most(80, at_least(-80, s.m)), least = exp_minus(magnitude(near));
    vf new, old;
    gates_of(s.lead, &new, &old);
    store_first(m + at, k, s.m);
    store_first(gates + at, k, new);
    store_first(gates + n + at, k, old);
    store_first(gates + 2 * n + at, k, s.closing);
    store_first(gates + 3 * n + at, k, near < 0 ? 1 / least : least);
  }
}

// Some columns of it: `vectors`, a constant, whole vectors, or one vector of the first m.
INLINE void outer_columns(const int vectors, size_t m, size_t rows, ptrdiff_t row, float decay, const float *a,
                          const float *b, const float *w, float *s, float *out) {
  vf right[4], sum[4];
  UNROLL for (int j = 0; j < vectors; j++) {
    right[j] = load_first(b + j * VL, m);
    sum[j] = 0;
  }
  for (size_t r = 0; r < rows; r++, s += row) {
    UNROLL for (int j = 0; j < vectors; j++) {
      const vf next = muladd(a[r], right[j], decay * load_first(s + j * VL, m));
      store_first(s + j * VL, m, next);
      sum[j] = muladd(w[r], next, sum[j]);
    }
  }
  UNROLL for (int j = 0; j < vectors; j++) store_first(out + j * VL, m, sum[j]);
}

static void outer(size_t rows, size_t columns, float decay, const float *a, const float *b, const float *w, float *s,
                  float *out) {
  const ptrdiff_t row = (ptrdiff_t)columns;
  size_t done = 0;
  for (; done + 4 * VL <= columns; done += 4 * VL) {
    outer_columns(4, VL, rows, row, decay, a, b + done, w, s + done, out + done);
  }
  FOR_VECTORS(i, m, columns - done) {
    outer_columns(1, m, rows, row, decay, a, b + done + i, w, s + done + i, out + done + i);
  }
}

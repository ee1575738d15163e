// Steps of LSTM and GRU units forwards and backwards: several blocks, the last of them partial, with masked rows.
#include "check.h"

#include <math.h>
#include <string.h>

typedef struct step {
  const lstm_kernel_table *set;
  int gru;
  size_t rows, inputs, units;
  uint32_t inner, outer;
} step;

typedef struct state {
  double c, h;
} state;

// The equations of one unit, from its gates before activation.
static state next_state(const step *s, const double z[4], state before) {
  if (s->gru) {
    const double n = activation(s->inner, z[0] + activation(s->outer, z[1]) * z[3]),
                 update = activation(s->outer, z[2]);
    return (state){before.c, update * before.h + (1 - update) * n};
  }
  const double c = activation(s->outer, z[1]) * before.c + activation(s->outer, z[0]) * activation(s->inner, z[2]);
  return (state){c, activation(s->outer, z[3]) * activation(s->inner, c)};
}

// How the loss dh h + dc c of the next state moves with one of z[4], c, h.
static double difference(const step *s, const double z[4], state before, state gradient, int which) {
  double loss[2];
  for (int side = 0; side < 2; side++) {
    double moved[6] = {z[0], z[1], z[2], z[3], before.c, before.h};
    moved[which] += side ? 1e-6 : -1e-6;
    const state next = next_state(s, moved, (state){moved[4], moved[5]});
    loss[side] = gradient.h * next.h + gradient.c * next.c;
  }
  return (loss[1] - loss[0]) / 2e-6;
}

static int check_step(const step *s) {
  const size_t lanes = s->set->lanes, rows = s->rows, units = s->units, inputs = s->inputs;
  const size_t blocks = (units + lanes - 1) / lanes, width = s->gru ? 3 : 4, depth = inputs + units;
  const size_t c_count = blocks * rows * lanes, gate_count = 4 * c_count;
  float *x = random_floats(rows * inputs), *h = random_floats(rows * units), *h_next = random_floats(rows * units);
  float *weights = random_floats(blocks * depth * width * lanes), *bias = random_floats(blocks * 4 * lanes);
  float *c = random_floats(c_count), *c_next = random_floats(c_count), *gates = random_floats(gate_count);
  float *dh = random_floats(rows * units), *dc = random_floats(c_count);
  float *dh_old = malloc(rows * units * sizeof *dh + 1), *dc_old = malloc(c_count * sizeof *dc + 1);
  uint8_t *mask = malloc(rows + 1);
  if (!dh_old || !dc_old || !mask) exit(2);
  memcpy(dh_old, dh, rows * units * sizeof *dh);
  memcpy(dc_old, dc, c_count * sizeof *dc);
  for (size_t r = 0; r < rows; r++) mask[r] = r % 5 != 3;

  const ptrdiff_t c_block = (ptrdiff_t)(rows * lanes);
  const lstm_cell_forward forward = {.rows = rows,
                                     .inputs = inputs,
                                     .hidden = units,
                                     .units = units,
                                     .x = x,
                                     .x_row = (ptrdiff_t)inputs,
                                     .h = h,
                                     .h_row = (ptrdiff_t)units,
                                     .h_own = h,
                                     .weights = weights,
                                     .weights_block = (ptrdiff_t)(depth * width * lanes),
                                     .from_last = rows % 2,
                                     .bias = bias,
                                     .mask = mask,
                                     .c = c,
                                     .c_next = c_next,
                                     .c_row = (ptrdiff_t)lanes,
                                     .c_block = c_block,
                                     .h_next = h_next,
                                     .h_next_row = (ptrdiff_t)units,
                                     .gates = gates,
                                     .gates_block = 4 * c_block,
                                     .activation = s->inner,
                                     .recurrent_activation = s->outer};
  const lstm_cell_backward backward = {.rows = rows,
                                       .units = units,
                                       .mask = mask,
                                       .c = c,
                                       .c_next = c_next,
                                       .c_block = c_block,
                                       .h_own = h,
                                       .h_row = (ptrdiff_t)units,
                                       .gates = gates,
                                       .gates_block = 4 * c_block,
                                       .dh = dh,
                                       .dh_row = (ptrdiff_t)units,
                                       .dc = dc,
                                       .activation = s->inner,
                                       .recurrent_activation = s->outer};
  (s->gru ? s->set->gru_forward : s->set->lstm_forward)(&forward);
  (s->gru ? s->set->gru_backward : s->set->lstm_backward)(&backward);

  int wrong = 0;
  for (size_t r = 0; r < rows; r++) {
    for (size_t u = 0; u < units; u++) {
      const size_t block = u / lanes, lane = u % lanes, at = (block * rows + r) * lanes + lane, h_at = r * units + u;
      const state before = {c[at], h[h_at]}, gradient = {s->gru ? 0 : dc_old[at], dh_old[h_at]};
      const float *d_gates = gates + (block * rows + r) * 4 * lanes + lane;
      if (!mask[r]) {
        wrong += is_wrong("masked h", h_next[h_at], h[h_at], 0) + is_wrong("masked dh", dh[h_at], gradient.h, 0);
        for (size_t j = 0; j < 4; j++) wrong += is_wrong("masked gate", d_gates[j * lanes], 0, 0);
        if (!s->gru) wrong += is_wrong("masked c", c_next[at], c[at], 0) + is_wrong("masked dc", dc[at], gradient.c, 0);
        continue;
      }
      double z[4];
      for (size_t j = 0; j < 4; j++) {
        z[j] = bias[(block * 4 + j) * lanes + lane];
        for (size_t k = 0; k < depth; k++) {
          // Of GRU's gates x has no part in the last and h none in the first.
          const size_t vector = s->gru && k >= inputs ? j - 1 : j;
          if (vector >= width) continue;
          const double from = k < inputs ? x[r * inputs + k] : h[r * units + k - inputs];
          z[j] += from * weights[((block * depth + k) * width + vector) * lanes + lane];
        }
      }
      const state next = next_state(s, z, before);
      wrong += is_wrong("h", h_next[h_at], next.h, 4e-6 * fmax(1, fabs(next.h)));
      for (int j = 0; j < 4; j++) {
        const double want = difference(s, z, before, gradient, j);
        wrong += is_wrong("gradient of a gate", d_gates[(size_t)j * lanes], want, 1e-5 * fmax(1, fabs(want)));
      }
      const double d_h = difference(s, z, before, gradient, 5);
      wrong += is_wrong("gradient of h", dh[h_at], d_h, 1e-5 * fmax(1, fabs(d_h)));
      if (s->gru) continue;
      const double d_c = difference(s, z, before, gradient, 4);
      wrong += is_wrong("c", c_next[at], next.c, 4e-6 * fmax(1, fabs(next.c)));
      wrong += is_wrong("gradient of c", dc[at], d_c, 1e-5 * fmax(1, fabs(d_c)));
    }
  }
  void *const all[] = {x, h, h_next, weights, bias, c, c_next, gates, dh, dc, dh_old, dc_old, mask};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
  return wrong;
}

int check_cells(const lstm_kernel_table *set) {
  int wrong = 0;
  for (int gru = 0; gru < 2; gru++) {
    for (size_t rows = 0; rows <= 13; rows++) {
      const step s = {set, gru, rows, rows % 3, set->lanes * (1 + rows % 3) - rows % 2, LSTM_TANH, LSTM_SIGMOID};
      wrong += check_step(&s);
    }
    for (uint32_t kind = 0; kind < KINDS; kind++) {
      const step inner = {set, gru, 4, 2, set->lanes + 1, kind, LSTM_SIGMOID};
      const step outer = {set, gru, 4, 2, set->lanes + 1, LSTM_TANH, kind};
      wrong += check_step(&inner) + check_step(&outer);
    }
  }
  return wrong;
}

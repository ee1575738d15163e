// Steps of cells with options, from sums that are made: each option alone and all of them, the last block partial, with
// masked rows and memory of just the size that is read.
#include "check.h"

#include <math.h>
#include <string.h>

enum { Z, C = 4, H, P, INPUTS = P + 3 }; // what a step is a function of: four sums, c, h, three peepholes

typedef struct unit {
  const lstm_cell_forward *step;
  double keep_h, keep_c, dh, dc;
} unit;

static double within(double limit, double x) { return fmin(limit, fmax(-limit, x)); }

// Stands in for what normalizes a memory: what the output is made of.
enum { SLOPE = 3 };
static double shown(double m) { return SLOPE * m - 0.25; }

// The next c and h of a unit.
static void next_of(const unit *u, const double in[INPUTS], double *c_next, double *h_next) {
  const lstm_cell_options *const o = &u->step->options;
  const uint32_t inner = u->step->activation, outer = u->step->recurrent_activation;
  const double limit = o->gate_limit, c = in[C], h = in[H];
  double made, m = c;
  if (o->gru) {
    const double r = activation(outer, within(limit, in[1])), z = activation(outer, within(limit, in[2]));
    made = z * h + (1 - z) * activation(inner, within(limit, in[0] + r * in[3]));
  } else {
    const int g = o->coupled ? 1 : 2;
    const double i = activation(outer, within(limit, in[0] + in[P] * c));
    const double f = o->coupled ? 1 - i : activation(outer, within(limit, in[1] + in[P + 1] * c));
    m = within(o->memory_limit, f * c + i * activation(inner, within(limit, in[g])));
    made = activation(outer, within(limit, in[g + 1] + in[P + 2] * m)) * activation(inner, o->normal ? shown(m) : m);
  }
  *c_next = u->keep_c * c + (1 - u->keep_c) * m;
  *h_next = u->keep_h * h + (1 - u->keep_h) * made;
}

// How the loss dh h + dc c moves with one of the inputs. At a limit, where it has no slope, NAN.
static double difference(const unit *u, const double in[INPUTS], int which) {
  double slope[2];
  for (int wide = 0; wide < 2; wide++) {
    const double distance = wide ? 1e-4 : 1e-6;
    double loss[2];
    for (int side = 0; side < 2; side++) {
      double moved[INPUTS], c, h;
      memcpy(moved, in, sizeof moved);
      moved[which] += side ? distance : -distance;
      next_of(u, moved, &c, &h);
      loss[side] = u->dh * h + (u->step->options.gru ? 0 : u->dc * c);
    }
    slope[wide] = (loss[1] - loss[0]) / (2 * distance);
  }
  return fabs(slope[0] - slope[1]) > 1e-5 ? NAN : slope[0];
}

static int is_wrong_slope(const char *what, double got, double want) {
  return !isnan(want) && is_wrong(what, got, want, 1e-5 * fmax(1, fabs(want)));
}

static int check_step(const lstm_kernel_table *set, lstm_cell_options o, size_t rows, size_t units) {
  const size_t lanes = set->lanes, blocks = (units + lanes - 1) / lanes, c_count = blocks * rows * lanes;
  float *gates = random_floats(4 * c_count), *c = random_floats(c_count);
  float *c_next = random_floats(c_count), *h = random_floats(rows * units), *h_next = random_floats(rows * units);
  float *dh = random_floats(rows * units), *dc = random_floats(c_count), *peepholes = random_floats(blocks * 3 * lanes);
  float *d_peepholes = random_floats(blocks * 3 * lanes), *keep = random_floats(rows * units);
  float *olds[4] = {gates, dh, dc, d_peepholes};
  const size_t sizes[4] = {4 * c_count, rows * units, c_count, blocks * 3 * lanes};
  for (int i = 0; i < 4; i++) {
    float *const copy = malloc(sizes[i] * sizeof *copy + 1);
    if (!copy) exit(2);
    memcpy(copy, olds[i], sizes[i] * sizeof *copy);
    olds[i] = copy;
  }
  uint8_t *mask = malloc(rows + 1);
  if (!mask) exit(2);
  for (size_t r = 0; r < rows; r++) mask[r] = r % 4 != 2;
  for (size_t i = 0; i < rows * units; i++) keep[i] = fabsf(keep[i]);
  if (o.peepholes) {
    o.peepholes = peepholes;
    o.d_peepholes = d_peepholes;
  }
  if (o.keep_h) o.keep_h = keep;
  if (o.keep_c) o.keep_c = keep;
  float *const normal = random_floats(rows * units);
  if (o.normal) o.normal = normal;
  o.normal_row = (ptrdiff_t)units;
  o.keep_row = (ptrdiff_t)units;
  const ptrdiff_t block_size = (ptrdiff_t)(rows * lanes), row_size = (ptrdiff_t)units;
  const lstm_cell_forward forward = {.rows = rows,
                                     .units = units,
                                     .mask = mask,
                                     .h_own = h,
                                     .h_row = row_size,
                                     .c = c,
                                     .c_next = c_next,
                                     .c_row = (ptrdiff_t)lanes,
                                     .c_block = block_size,
                                     .h_next = h_next,
                                     .h_next_row = row_size,
                                     .gates = gates,
                                     .gates_block = 4 * block_size,
                                     .activation = LSTM_TANH,
                                     .recurrent_activation = LSTM_SIGMOID,
                                     .options = o};
  const lstm_cell_backward backward = {.rows = rows,
                                       .units = units,
                                       .mask = mask,
                                       .c = c,
                                       .c_next = c_next,
                                       .c_block = block_size,
                                       .h_own = h,
                                       .h_row = row_size,
                                       .gates = gates,
                                       .gates_block = 4 * block_size,
                                       .dh = dh,
                                       .dh_row = row_size,
                                       .dc = dc,
                                       .activation = LSTM_TANH,
                                       .recurrent_activation = LSTM_SIGMOID,
                                       .options = o};
  set->split_forward(&forward);
  if (o.normal) {
    for (size_t i = 0; i < rows * units; i++) normal[i] = (float)shown(normal[i]);
    set->output_forward(&forward);
    set->output_backward(&backward);
    for (size_t i = 0; i < rows * units; i++) normal[i] *= SLOPE;
  }
  set->split_backward(&backward);

  int wrong = 0;
  for (size_t u = 0; u < units; u++) {
    const size_t block = u / lanes, lane = u % lanes;
    double d_p[3] = {0, 0, 0};
    for (size_t r = 0; r < rows; r++) {
      const size_t at = (block * rows + r) * lanes + lane, h_at = r * units + u, z_at = (at - lane) * 4 + lane;
      const unit one = {&forward, o.keep_h ? keep[h_at] : 0, o.keep_c ? keep[h_at] : 0, olds[1][h_at], olds[2][at]};
      double in[INPUTS] = {[C] = c[at], [H] = h[h_at]}, c_want = c[at], h_want = h[h_at];
      for (size_t j = 0; j < 4; j++) in[Z + j] = olds[0][z_at + j * lanes];
      for (size_t j = 0; j < 3; j++) in[P + j] = o.peepholes ? peepholes[(block * 3 + j) * lanes + lane] : 0;
      if (mask[r]) next_of(&one, in, &c_want, &h_want);
      wrong += is_wrong("h", h_next[h_at], h_want, 4e-6);
      if (!o.gru) wrong += is_wrong("c", c_next[at], c_want, 4e-6);
      for (int j = 0; j < 4; j++) {
        const double want = mask[r] ? difference(&one, in, j) : 0;
        wrong += is_wrong_slope("gradient of a gate", gates[z_at + (size_t)j * lanes], want);
      }
      wrong += is_wrong_slope("gradient of h", dh[h_at], mask[r] ? difference(&one, in, H) : one.dh);
      if (!o.gru) wrong += is_wrong_slope("gradient of c", dc[at], mask[r] ? difference(&one, in, C) : one.dc);
      for (int j = 0; j < 3 && mask[r]; j++) d_p[j] += difference(&one, in, P + j);
    }
    for (size_t j = 0; j < 3 && o.peepholes; j++) {
      const size_t at = (block * 3 + j) * lanes + lane;
      wrong += is_wrong_slope("gradient of a peephole", d_peepholes[at], olds[3][at] + d_p[j]);
    }
  }
  void *const all[] = {gates, c, c_next, h, h_next, dh, dc, peepholes, d_peepholes, keep, normal, mask};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
  for (int i = 0; i < 4; i++) free(olds[i]);
  return wrong;
}

int check_split_cells(const lstm_kernel_table *set) {
  static float there = 1; // options that are arrays: check_step gives them their own
  int wrong = 0;
  for (int chosen = 0; chosen < 256; chosen++) {
    const lstm_cell_options o = {.gru = chosen & 1,
                                 .coupled = chosen >> 1 & 1,
                                 .gate_limit = chosen & 4 ? 0.6f : INFINITY,
                                 .memory_limit = chosen & 8 ? 0.3f : INFINITY,
                                 .peepholes = chosen & 16 ? &there : NULL,
                                 .keep_h = chosen & 32 ? &there : NULL,
                                 .keep_c = chosen & 64 ? &there : NULL,
                                 .normal = chosen & 128 ? &there : NULL};
    if (o.gru && (o.coupled || o.peepholes || o.keep_c || o.normal || chosen & 8)) continue;
    wrong += check_step(set, o, 5, set->lanes + 1) + check_step(set, o, 1, 2 * set->lanes);
  }
  return wrong;
}

// Calls a few kernels of the avx2 set under callgrind, which writes the instructions of each call into a file of its own.
#include "check.h"

#include <valgrind/callgrind.h>

#define COUNTED(name, call)                                                                                            \
  CALLGRIND_ZERO_STATS;                                                                                                \
  call;                                                                                                                \
  CALLGRIND_DUMP_STATS_AT(name)

static void cells(const lstm_kernel_table *set, const char *const names[4], size_t rows, size_t inputs, size_t units) {
  const size_t lanes = set->lanes, blocks = (units + lanes - 1) / lanes, plane = blocks * rows * lanes;
  lstm_cell_forward p = {.rows = rows, .inputs = inputs, .hidden = units, .units = units};
  p.x = random_floats(rows * inputs);
  p.h = p.h_own = random_floats(rows * units);
  p.h_next = random_floats(rows * units);
  p.weights_block = (ptrdiff_t)((inputs + units) * 4 * lanes);
  p.weights = random_floats(blocks * (inputs + units) * 4 * lanes);
  p.bias = random_floats(blocks * 4 * lanes);
  p.c = random_floats(plane);
  p.c_next = random_floats(plane);
  p.gates = random_floats(4 * plane);
  p.x_row = (ptrdiff_t)inputs;
  p.h_row = p.h_next_row = (ptrdiff_t)units;
  p.c_row = (ptrdiff_t)lanes;
  p.c_block = (ptrdiff_t)(rows * lanes);
  p.gates_block = 4 * p.c_block;
  lstm_cell_backward b = {.rows = rows, .units = units, .c = p.c, .c_next = p.c_next, .h_own = p.h, .gates = p.gates};
  p.activation = b.activation = LSTM_TANH;
  p.recurrent_activation = b.recurrent_activation = LSTM_SIGMOID;
  b.c_block = p.c_block;
  b.gates_block = p.gates_block;
  b.h_row = b.dh_row = (ptrdiff_t)units;
  b.dh = random_floats(rows * units);
  b.dc = random_floats(plane);
  COUNTED(names[0], set->lstm_forward(&p));
  COUNTED(names[1], set->lstm_backward(&b));
  COUNTED(names[2], set->gru_forward(&p));
  COUNTED(names[3], set->gru_backward(&b));
}

static void product(const lstm_kernel_table *set, const char *name, size_t rows, size_t vectors, size_t missing) {
  const size_t lanes = set->lanes, depth = 64, chunks = 2, width = vectors * lanes;
  lstm_product p = {.rows = rows, .depth = depth, .chunks = chunks, .start = LSTM_FROM_C};
  p.a = random_floats(rows * chunks * depth);
  p.b = random_floats(chunks * depth * width);
  p.c = random_floats(rows * width);
  p.a_row = (ptrdiff_t)(chunks * depth);
  p.a_chunk = (ptrdiff_t)depth;
  p.a_step = 1;
  p.b_row = p.c_row = (ptrdiff_t)width;
  p.b_chunk = (ptrdiff_t)(depth * width);
  for (size_t j = 0; j < 4; j++) p.c_vector[j] = (ptrdiff_t)(j * lanes);
  for (size_t j = 0; j < vectors; j++) p.valid[j] = j + 1 < vectors ? lanes : lanes - missing;
  COUNTED(name, set->product(&p));
}

int main(void) {
  int known;
  const lstm_kernel_table *set = lstm_kernels_named("avx2", &known);
  if (!set) return 2;
  cells(
      set,
      (const char *[]){"lstm forward 8x16x32", "lstm backward 8x16x32", "gru forward 8x16x32", "gru backward 8x16x32"},
      8, 16, 32);
  cells(set,
        (const char *[]){"lstm forward 64x256x512", "lstm backward 64x256x512", "gru forward 64x256x512",
                         "gru backward 64x256x512"},
        64, 256, 512);
  cells(set,
        (const char *[]){"lstm forward 1x1x16", "lstm backward 1x1x16", "gru forward 1x1x16", "gru backward 1x1x16"}, 1,
        1, 16);
  product(set, "product 17 rows 4 vectors", 17, 4, 0);
  product(set, "product 17 rows 3 vectors", 17, 3, 0);
  product(set, "product 17 rows 2 vectors", 17, 2, 0);
  product(set, "product 17 rows 1 vector", 17, 1, 0);
  product(set, "product 17 rows 4 vectors, the last in part", 17, 4, 3);
  float *square = random_floats(64 * 64), *out = random_floats(64 * 64);
  COUNTED("transpose 64x64", set->transpose(64, 64, square, 64, out, 64));
  lstm_update u = {.count = 4099, .rate = 0.001f, .beta_1 = 0.9f, .beta_2 = 0.999f, .epsilon = 1e-7f};
  u.w = random_floats(u.count);
  u.g = random_floats(u.count);
  u.m = random_floats(u.count);
  u.v = random_floats(u.count);
  for (size_t i = 0; i < u.count; i++) u.v[i] *= u.v[i];
  COUNTED("adam 4099", set->adam(&u));
  return 0;
}

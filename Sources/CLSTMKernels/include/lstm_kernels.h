// The leaf kernels: one table of functions for each instruction set, all from the one body `kernels.inc`.
//
// Contract of every kernel: pointers need no alignment beyond that of float; sizes may be zero; nothing is allocated, kept
// or refused; NaN and infinity propagate. An element of a result is computed by one chain of operations whose order
// depends on nothing but the sizes named as its inputs (never on the row, on the tile it falls into, or on `lanes`), so a
// row gives the same bits alone and in a batch. Sets with and without fused multiply-add may differ in the last bits.
#ifndef LSTM_KERNELS_H
#define LSTM_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

// Errors are at most 2 ulp for sigmoid, tanh and silu, 3 for the others. The fast forms trade accuracy for speed, up to 5
// ulp, where a set gains by it; sigmoid keeps its relative accuracy down to denormal results, neither passes its limits,
// and slopes are those of sigmoid and tanh by y.
enum {
  LSTM_LINEAR = 0,
  LSTM_SIGMOID,
  LSTM_TANH,
  LSTM_RELU,
  LSTM_HARD_SIGMOID,
  LSTM_ELU,
  LSTM_GELU,
  LSTM_SILU,
  LSTM_SOFTPLUS,
  LSTM_FAST_SIGMOID,
  LSTM_FAST_TANH
};

enum { LSTM_FROM_ZERO = 0, LSTM_FROM_C, LSTM_FROM_ROW };

// How the weights of a product are packed. A matrix of `depth` rows is a list of rows of 32-bit words, one word for each
// column; where this header counts floats of weights it means words.
//   FLOAT32   `depth` rows of numbers.
//   BFLOAT16  (depth + 1) / 2 rows. Word k holds the upper halves of two floats: that of row 2 k in its lower half, that of
//             row 2 k + 1 in its upper. The result is to the last bit that of the same numbers as FLOAT32.
//   INT8      2 + (depth + 3) / 4 rows: the scale of each column, a float; then -128 times the sum of the column's integers,
//             as int32_t; then words of four integers from -127 to 127, word k those of rows 4 k to 4 k + 3, the first of
//             them lowest, and zero past the last row. The factors are bytes, and the sums of their products exact integers
//             (for depths up to 65536), to which the scales are applied: the term of a matrix is
//             fma(sum over k of (byte[k] - 128) q[k, j], scale of the row * scale of the column, what comes before it).
//   INT8_DOT  the same, by an instruction that not all processors of a set have: see lstm_kernels_int8.
enum { LSTM_WEIGHTS_FLOAT32 = 0, LSTM_WEIGHTS_BFLOAT16, LSTM_WEIGHTS_INT8, LSTM_WEIGHTS_INT8_DOT };

// Factors rounded for INT8, as `quantize` makes them: number k of row r is (at[r * row + k] - 128) * scale[r]. `row` is a
// multiple of 4, `at` aligned to 4 bytes; up to three bytes past a row's last are read, whatever they are.
typedef struct lstm_bytes {
  const uint8_t *at;
  ptrdiff_t row;
  const float *scale;
} lstm_bytes;

// Element types of a caller's array.
enum { LSTM_OF_FLOAT32 = 1, LSTM_OF_FLOAT64, LSTM_OF_INT32, LSTM_OF_INT64, LSTM_OF_UINT8 };

// A product of matrices, one panel of up to four vectors (4 x lanes columns) wide, its inner dimension in `chunks` pieces:
//     C[r, j, l] = start + sum over q = 0 ... chunks-1, k = 0 ... depth-1, in that order, of A[r, q, k] * B[q, k, j, l]
// A[r, q, k] = a[r * a_row + q * a_chunk + k * a_step]; B[q, k, j, l] = b[q * b_chunk + k * b_row + j * lanes + l];
// C[r, j, l] = c[r * c_row + c_vector[j] + l]. Only the first `valid[j]` lanes of vector j of C are read and written; a
// vector of B with any valid lane is read whole. Vectors without one come last, are not read and cost nothing.
// start: zero, C itself, or first[j * lanes + l] (vectors read whole).
// With `narrow` a sum is not one chain but LSTM_CHAINS, which do not wait for one another: that of the k with the same
// remainder, each from zero; they are added up pair by pair (0 and 4, 1 and 5, ..., then 0 and 2, ...), and then the start
// is added. Takes chunks = 1, a_step = 1, LSTM_FROM_ROW and FLOAT32; b_row = 1 is a B of one column, of which C's is written
// whatever `valid` says.
// With `tiled`, A is what pack_tiles has made of it for as many vectors as have a valid lane: a_row = 1, and a_step is not
// read. Takes chunks = 1, whole vectors and FLOAT32.
enum { LSTM_CHAINS = 8 };
typedef struct lstm_product {
  size_t rows, depth, chunks;
  const float *a;
  ptrdiff_t a_row, a_step, a_chunk;
  const float *b;
  ptrdiff_t b_row, b_chunk;
  const float *next; // a B that is wanted soon and is fetched from memory meanwhile, or NULL
  float *c;
  ptrdiff_t c_row, c_vector[4];
  size_t valid[4];
  uint32_t start; // LSTM_FROM_...
  uint32_t narrow;
  uint32_t tiled;
  const float *first;
  uint32_t format;    // of b, LSTM_WEIGHTS_...; all but FLOAT32 want chunks = 1 and a_step = 1
  lstm_bytes a_bytes; // instead of `a`, for INT8
} lstm_product;

enum { LSTM_HALVED_HIDDEN = 16 };

// What a cell may have beyond the standard one: of split_forward and split_backward alone. From the sums z, with the limits
// G of gates and M of the memory, both infinite for none (as ONNX's clip, and TFLite's cell_clip after Sak et al. 2014), and
// with weights p of peepholes (Gers & Schmidhuber 2000):
//     i, f = recurrent_activation(z + p c), within G before it   g = activation(z within G)
//     m = f c + i g, within M   o = recurrent_activation(z + p m)   h = o activation(m)
//     c_next = keep_c c + (1 - keep_c) m   h_next = keep_h h_before + (1 - keep_h) h        (zoneout, Krueger et al. 2017)
// If coupled, f = 1 - i, and the vectors of gates are i g o and one that is not used. Of a gru there are G and keep_h:
//     r, z = recurrent_activation(. within G)   n = activation(n + r m, within G)
// The derivative of what is beyond a limit is 0.
//
// Where the memory of an lstm is normalized over all units (Ba, Kiros & Hinton 2016), `normal` goes to and fro: split_forward
// leaves m there and an h that does not count; from the normalized m output_forward makes h_next, with h = o activation(normal);
// output_backward leaves there the gradient of what it has read, and that of z of o in the gates; from the gradient of m
// split_backward goes on.
typedef struct lstm_cell_options {
  uint32_t gru; // else lstm
  uint32_t coupled;
  float gate_limit, memory_limit;
  const float *peepholes;       // [3][lanes] a block, of i f o, zero in padding lanes; or NULL
  float *d_peepholes;           // the same: their gradient is added
  const float *keep_h, *keep_c; // [rows], keep_row floats apart, `units` each; or NULL
  ptrdiff_t keep_row;
  float *normal; // [rows], normal_row floats apart, `units` each; or NULL
  ptrdiff_t normal_row;
} lstm_cell_options;

// One timestep of `units` hidden units, in blocks of `lanes` (the last may be part of one), for `rows` sequences. A block
// lies apart from the one before it by so many floats: weights `weights_block`, bias 4 * lanes, c and c_next `c_block`,
// gates `gates_block`, begin `begin_block`, h_own and h_next `lanes`. The rows of c and c_next are `c_row` apart.
//
// lstm_forward (Hochreiter & Schmidhuber 1997, Gers et al. 2000); gates i f g o:
//     z = bias + sum over k of x[k] w[k] + sum over k of h[k] w[inputs + k]
//     i, f, o = recurrent_activation(z)   g = activation(z)   c_next = f c + i g   h_next = o activation(c_next)
// with c_next computed as fma(f, c, i * g). Weights of a block: [inputs + hidden][4][lanes]. z is one chain, in that order;
// but if hidden <= LSTM_HALVED_HIDDEN, the k from hidden / 2 on make a second chain, from zero, which is added at the end.
//
// gru_forward, reset after the product (Cho et al. 2014 in the form of cuDNN); gates n r z m, m the recurrent part of n:
//     z = bias + ... as above, where x has no part in m and h none in n
//     r, z = recurrent_activation   n = activation(n + r m)   h_next = z h + (1 - z) n
// with n + r m computed as fma(r, m, n), h_next as fma(z, h - n, n). Weights of a block: [inputs][n r z][lanes], then
// [hidden][r z m][lanes]: width 3. c and c_next are not used.
//
// `bias` is [4][lanes] a block; padding lanes of it and of weights are zero. If `begin` is not NULL, the chain of row r
// begins with begin[r * begin_row] ([4][lanes] a block; it may be `gates`) instead of the bias: with inputs = 0, the
// products of x in it already, and weights from the first row of h on, the result is the same to the last bit. If `place`
// is not NULL, it begins with begin[place[r] * begin_row], and what stands at soon[r] is fetched for the next step.
// Compressed weights of a block are two matrices, that of x, unless inputs = 0, and then that of h; with integers h has a sum of its own:
// z = fma(sum of h, scales, fma(sum of x, scales, bias)).
// A row whose mask byte is 0 keeps its state: c_next = c, h_next = h_own.
// `gates`, unless NULL, receives [rows][4][lanes] a block for the step backwards: when the activations are tanh and
// sigmoid the activated gates (m as it is), else the four before activation; rows that are masked are left as they are.
typedef struct lstm_cell_forward {
  size_t rows, inputs, hidden, units;
  const float *x; // [rows], x_row floats apart, `inputs` each
  ptrdiff_t x_row;
  const float *h; // [rows], h_row floats apart, `hidden` each
  ptrdiff_t h_row;
  const float *h_own; // these units' own in h: h + first unit; also h_row apart
  const float *weights;
  ptrdiff_t weights_block;
  // Whether the blocks are taken from the last to the first: done every other step, what weights the caches still hold
  // is used again.
  uint32_t from_last;
  const float *bias;
  const float *begin;
  ptrdiff_t begin_row, begin_block;
  const int32_t *place, *soon; // [rows], both or none
  const uint8_t *mask;         // [rows] or NULL
  const float *c;              // [rows], c_row floats apart, `lanes` of each block
  float *c_next;               // the same, may be c
  ptrdiff_t c_row, c_block;
  float *h_next; // [rows], h_next_row floats apart, `units` written; must not overlap h
  ptrdiff_t h_next_row;
  float *gates;
  ptrdiff_t gates_block;
  uint32_t activation, recurrent_activation;
  uint32_t format;             // of the weights, LSTM_WEIGHTS_...
  lstm_bytes x_bytes, h_bytes; // instead of `x` and `h`, for INT8; h_row is then that of h_own
  lstm_cell_options options;
} lstm_cell_forward;

// The step backwards, for the same units. On entry dh is the loss's whole gradient with respect to h_next and dc that
// with respect to c_next from later steps. On return gates holds the gradient of the four numbers before activation (zero
// in masked rows and padding lanes), dc the gradient with respect to c, and dh what passes the products by: dh itself in
// masked rows; in the others 0 for lstm_backward, dh z for gru_backward.
//
// split_forward and split_backward do the same with what `options` say, but are given the sums z in `gates`, where forward
// leaves them with the peepholes' part for backward. They read no x, h, weights and bias.
typedef struct lstm_cell_backward {
  size_t rows, units;
  const uint8_t *mask;
  const float *c, *c_next; // [rows][lanes] a block; lstm only
  ptrdiff_t c_block;
  const float *h_own; // gru only: the state before the step, [rows] h_row floats apart
  ptrdiff_t h_row;
  float *gates; // [rows][4][lanes] a block, in: as forward left it, out: gradients
  ptrdiff_t gates_block;
  float *dh; // [rows], dh_row floats apart, `units` each
  ptrdiff_t dh_row;
  float *dc; // [rows][lanes] a block, c_block apart; lstm only
  uint32_t activation, recurrent_activation;
  const float *h_next; // the state after the step, [rows] h_next_row floats apart: for cells that are no kernels
  ptrdiff_t h_next_row;
  lstm_cell_options options;
} lstm_cell_backward;

// One timestep of `units` units of `rows` sequences, of cells whose gates have the products of the inputs already: gate j
// of a unit is x[r * x_row + j * gate + unit]. States and their gradients are [rows], `row` floats apart. A row whose mask
// byte is 0 keeps its state; backwards its dx is zero and the gradients of its state stay.
//
// minimal_forward (Feng et al. 2024); h_next may be h:
//     h_next = h + w (n - h)          n the last gate x, or, above_zero, x + 1/2 from 0 on and below it sigmoid(x)
//     w = sigmoid(z)                  gates_of_weight = 1, gates z n
//     w = sigmoid(i) / (sigmoid(i) + sigmoid(f))        2, gates i f n
// minimal_backward: dh in: the gradient of h_next, out: of h; dx that of x. Needs x and h.
//
// slstm_forward (Beck et al. 2024); gates i f z o, each x plus what `gates` holds, the recurrent products; a unit whose n is
// 0 has seen nothing and then m is not read; c_next may be c, n_next n, h_next h:
//     m' = max(ln sigmoid(f) + m, i)   i' = exp(i - m')   f' = exp(ln sigmoid(f) + m - m')
//     c_next = f' c + i' tanh(z)   n_next = f' n + i'   h_next = sigmoid(o) c_next / n_next
// `gates` is left as slstm_backward wants it, with the same c, n, c_next and n_next. There dh, dc and dn in: the gradients
// of h_next, c_next and n_next, out: of c and n, and of h 0; dx that of the gates; m in: the gradient of ln f' of the step
// after, 0 after the last, out: of this step's.
typedef struct lstm_scan {
  size_t rows, units;
  uint32_t gates_of_weight, above_zero;
  const uint8_t *mask; // [rows] or NULL
  const float *x;
  ptrdiff_t x_row, gate;
  float *gates; // as x: rows x_row apart, gate j of them at j * gate
  ptrdiff_t row;
  const float *h, *c, *n;
  float *h_next, *c_next, *n_next, *m;
  float *dh, *dc, *dn;
  float *dx; // as x
} lstm_scan;

// What an optimizer does to `count` weights w with gradient g; m, v and extra are its state, of the same length.
// Equations and defaults are those of keras.optimizers (Keras 3); `rate` and the corrections are computed by the caller.
typedef struct lstm_update {
  size_t count;
  float *w;
  const float *g;
  float *m, *v, *extra; // those that the rule names; others NULL
  float rate;           // learning rate; for adam with the bias correction sqrt(1 - beta_2^t) / (1 - beta_1^t) in it
  float decay;          // w -= w * decay first (learning rate times weight decay); 0 for none
  float momentum, rho, beta_1, beta_2, epsilon;
  uint32_t nesterov, centered, amsgrad;
  // Of nadam: what is added to the step for each g, and what v is multiplied with.
  float blend, correction;
  float l1, l2, shrinkage; // of ftrl
} lstm_update;

typedef struct lstm_kernel_table {
  const char *name; // "baseline", "avx2", "avx512", "neon"
  size_t lanes;     // floats in a vector

  void (*product)(const lstm_product *);
  void (*lstm_forward)(const lstm_cell_forward *);
  void (*lstm_backward)(const lstm_cell_backward *);
  void (*gru_forward)(const lstm_cell_forward *);
  void (*gru_backward)(const lstm_cell_backward *);
  void (*minimal_forward)(const lstm_scan *);
  void (*minimal_backward)(const lstm_scan *);
  void (*slstm_forward)(const lstm_scan *);
  void (*slstm_backward)(const lstm_scan *);
  // i', f' and m' as of slstm_forward, from i, f and m, n of each. m becomes m'; gates receives [4][n]: i', f', then
  // 1 - sigmoid(f), then exp(-m'), m' no farther than 80 from 0.
  void (*exponential_gates)(size_t n, const float *i, const float *f, float *m, float *gates);
  // s[r, l] = decay s[r, l] + a[r] b[l] for r < rows and l < columns, row-major, and out[l] = sum over r, in order, of w[r]
  // times the new s[r, l].
  void (*outer)(size_t rows, size_t columns, float decay, const float *a, const float *b, const float *w, float *s,
                float *out);
  void (*split_forward)(const lstm_cell_forward *);
  void (*split_backward)(const lstm_cell_backward *);
  void (*output_forward)(const lstm_cell_forward *);
  void (*output_backward)(const lstm_cell_backward *);
  // Rounds rows of `width` numbers to bytes: bytes[r * bytes_row + k] = 128 + x / scale[r], to the nearest integer and to
  // even from the middle. scale[r] is limit / 127, and numbers beyond are taken as the limit; if limit is 0, that of the
  // row's largest magnitude (below 2^-100 the row is taken as zeros). Then a row with a NaN or infinity has the scale NaN;
  // with a limit, a NaN becomes any byte, and `scale` may be NULL. The same bits in every set.
  void (*quantize)(size_t rows, size_t width, const float *x, ptrdiff_t x_row, float limit, uint8_t *bytes,
                   ptrdiff_t bytes_row, float *scale);
  // Rows of vectors from a matrix: out[(r * vectors + j) * lanes + l] = in[r * in_row + column[j] + l] for l < valid[j], else 0.
  void (*pack)(size_t rows, size_t vectors, const float *in, ptrdiff_t in_row, const ptrdiff_t *column,
               const size_t *valid, float *out);
  // A[r, k] = a[r + k * a_step] in the order in which `product` with so many vectors reads it, rows * depth floats.
  void (*pack_tiles)(size_t vectors, size_t rows, size_t depth, const float *a, ptrdiff_t a_step, float *out);
  // out[j * out_row + i] = in[i * in_row + j] for i < rows, j < columns.
  void (*transpose)(size_t rows, size_t columns, const float *in, ptrdiff_t in_row, float *out, ptrdiff_t out_row);

  // y = f(x), elementwise; y may be x.
  void (*activate)(uint32_t kind, size_t n, const float *x, float *y);
  // dx = dy * f'(x), where y = f(x); dx may be dy.
  void (*activate_backward)(uint32_t kind, size_t n, const float *x, const float *y, const float *dy, float *dx);
  // Each row of `width` numbers: y = exp(x - max x) / sum; y may be x.
  void (*softmax)(size_t rows, size_t width, const float *x, float *y);
  // dx = y * (dy - sum(dy * y)); dx may be dy.
  void (*softmax_backward)(size_t rows, size_t width, const float *y, const float *dy, float *dx);
  // Each row: losses = -ln softmax(x)[label], with its digits kept where it is near 0, and, unless dx is NULL,
  // dx = weight * (softmax(x) - onehot(label)). A row of weight 0 is not read, nor its label: loss 0, dx = 0. dx may be x.
  void (*softmax_cross_entropy)(size_t rows, size_t width, const float *x, const int32_t *labels, const float *weights,
                                float *dx, double *losses);

  void (*multiply)(size_t n, const float *a, const float *b, float *y); // y = a * b; y may be a or b
  void (*add)(size_t n, const float *x, float *y);                      // y += x
  void (*scale)(size_t n, float factor, float *y);                      // y *= factor
  void (*add_scaled)(size_t n, float factor, const float *x, float *y); // y += factor * x
  void (*clamp)(size_t n, float limit, float *y);                       // to [-limit, limit]
  // y = x where x is larger or NaN; there the bits of `index` go to `at`, unless that is NULL.
  void (*maximum)(size_t n, const float *x, uint32_t index, float *y, float *at);
  // y[i * width + j] = table[place[i] * width + j] for j < width and i < count.
  void (*gather)(size_t count, const int32_t *place, size_t width, const float *table, float *y);
  // to[i] = from[i], whole numbers from 0 to limit - 1, `stride` bytes apart and of any alignment; ends at the first that is
  // none of these. Returns how many there were.
  size_t (*read_tokens)(uint32_t element, size_t count, const void *from, ptrdiff_t stride, int32_t limit, int32_t *to);
  // table[(place[i] - first) * width + j] += x[i * width + j] for j < width and each i < count, in that order, whose place
  // is first ... first + rows - 1 and whose mask byte is not 0 (mask may be NULL).
  void (*scatter_add)(size_t count, const int32_t *place, const uint8_t *mask, int32_t first, size_t rows, size_t width,
                      const float *x, float *table);
  float (*dot)(size_t n, const float *a, const float *b);
  double (*sum_squares)(size_t n, const float *x); // in double; infinite or NaN if any x is
  // out[j] += sum over rows of x[r * x_row + j]; summed in chunks of 64 rows, then over the chunks.
  void (*column_sums)(size_t rows, size_t width, const float *x, ptrdiff_t x_row, float *out);
  // Each row of `width` numbers: unit = (x - mean) * scale[r], where scale[r] = 1 / sqrt(variance + epsilon), and
  // y = unit * gamma + beta. unit may be y, y and unit may be x, scale may be NULL.
  void (*normalize_rows)(size_t rows, size_t width, float epsilon, const float *x, const float *gamma,
                         const float *beta, float *unit, float *scale, float *y);
  // With g = dy * gamma: dx = scale[r] * (g - mean of g - unit * mean of g * unit); dx may be dy.
  void (*normalize_rows_backward)(size_t rows, size_t width, const float *unit, const float *scale, const float *gamma,
                                  const float *dy, float *dx);

  void (*sgd)(const lstm_update *);      // m: velocity, only when momentum != 0
  void (*rmsprop)(const lstm_update *);  // v; m when momentum != 0; extra (mean gradient) when centered
  void (*adam)(const lstm_update *);     // m, v; extra (largest v) when amsgrad
  void (*nadam)(const lstm_update *);    // as adam, without amsgrad
  void (*adagrad)(const lstm_update *);  // v: accumulator
  void (*adamax)(const lstm_update *);   // m; v: largest gradient, that decays
  void (*adadelta)(const lstm_update *); // v: mean square of the gradient, m: of the steps
  void (*lion)(const lstm_update *);     // m
  void (*ftrl)(const lstm_update *);     // v: accumulator, m: linear; a rate above 0
  // The sum of l1 |w| + l2 w^2, in double; its gradient is added to g unless that is NULL.
  double (*penalize)(size_t n, float l1, float l2, const float *w, float *g);
} lstm_kernel_table;

// The table called `name`, or that for "auto" the best this processor can run; NULL if there is none by that name here
// (*known is then 1 if the name itself is a valid one, else 0). The tables are constant and live as long as the code.
const lstm_kernel_table *lstm_kernels_named(const char *name, int *known);

// What products and cells of this table are best given as the format of 8-bit weights on this processor:
// LSTM_WEIGHTS_INT8 or LSTM_WEIGHTS_INT8_DOT.
uint32_t lstm_kernels_int8(const lstm_kernel_table *table);

#pragma GCC visibility pop

#endif

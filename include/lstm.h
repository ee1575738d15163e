/*
 * lstm.h - train and serve recurrent networks inside your own process.
 *
 * THREADS: a function that takes a `const lstm_model *` may be called from any number of threads at once on
 * one model, and takes no lock. A function that takes a pointer without `const` needs that object to itself (but for
 * lstm_publish, which gives a model new weights while others read it).
 * Different objects never share anything that can be seen. The library starts threads of its own where more than one
 * helps (`threads` says how many). They end with the call, or with the trainer, predictor or stream that keeps them for
 * its next one; and no result depends on their number, to the last bit.
 *
 * This file is the manual and the contract. It reads from top to bottom: conventions, errors, arrays, models,
 * parameters, training, prediction, streaming, online learning, generation, files. It is plain C90 with <stdint.h>, and
 * valid C++98.
 *
 * CONVENTIONS
 *   Result    Every call that can fail returns int: LSTM_OK (0), a positive code (success with news) or a negative
 *             code (error). lstm_last_error() then says which argument, which value and what was expected.
 *             After an error the outputs are untouched, the model is unchanged and there is nothing to clean up
 *             (the one exception, training, keeps the last good weights and says so below).
 *   Memory    The caller owns every buffer and may free it when the call returns, unless the text says otherwise.
 *             Outputs of unknown size take (buffer, capacity, count): *count is always set to what is needed;
 *             with capacity 0 nothing is written, and LSTM_OK returned; with too small a capacity nothing is
 *             written, and LSTM_ERR_ARG returned. count may be NULL. Text counts include the final zero byte.
 *   Structs   Begin with struct_size, are filled with defaults by their lstm_*_init(pointer, sizeof, ...), and
 *             only ever grow at the end: old programs keep working with a new library and the reverse.
 *   Objects   Are handles, not addresses: NULL, a handle already freed and a made-up one are refused with
 *             LSTM_ERR_ARG. Every lstm_*_free accepts NULL. Freeing a model that a trainer, predictor, stream, generator or
 *             a running training still uses is fine: it lives until they are done.
 *   Shapes    Are row-major, [batch, timesteps, features], as in numpy and Keras. Strides are in bytes.
 *   Text      Is UTF-8 and ends with a zero byte.
 *   Never     Does the library write to stdout or stderr, abort, install a signal handler, read the environment or the
 *             locale, start a thread that outlives the call and the object it was made for, or touch a file that the
 *             caller did not name.
 *
 * EXAMPLE: train on y = the sum of x over four steps, then ask for one answer.
 *
 *   #include <lstm.h>
 *   #include <stdio.h>
 *   int main(void) {
 *     float x[64 * 4], y[64], answer;
 *     int64_t x_shape[] = {64, 4, 1}, y_shape[] = {64, 1};
 *     lstm_model *model; lstm_array xs, ys; lstm_options options;
 *     for (int i = 0; i < 64; i++) { y[i] = 0; for (int t = 0; t < 4; t++) y[i] += x[4 * i + t] = (i * 7 + t * 3) % 11 / 11.f; }
 *     lstm_array_init(&xs, sizeof xs, LSTM_FLOAT32, x, 3, x_shape);
 *     lstm_array_init(&ys, sizeof ys, LSTM_FLOAT32, y, 2, y_shape);
 *     lstm_options_init(&options, sizeof options); options.epochs = 200;
 *     if (lstm_create("{'input_shape': [null, 1], 'layers': [{'type': 'lstm', 'units': 16}, {'type': 'dense', 'units': 1}],"
 *                     " 'training': {'loss': 'mse', 'optimizer': 'adam'}}", NULL, &model) ||
 *         lstm_train(model, &xs, &ys, &options, NULL)) return puts(lstm_last_error()), 1;
 *     xs.shape[0] = 1;
 *     if (lstm_predict(model, &xs, NULL, &answer, 1, NULL)) return puts(lstm_last_error()), 1;
 *     printf("%.2f, expected %.2f\n", answer, y[0]); lstm_free(model); return 0;
 *   }
 */
#ifndef LSTM_H
#define LSTM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LSTM_CHECK __attribute__((__warn_unused_result__))
#else
#define LSTM_CHECK
#endif

/* ------------------------------------------------------------------------------------------------------------------
 * 1. The library
 * --------------------------------------------------------------------------------------------------------------- */

#define LSTM_VERSION_MAJOR 0
#define LSTM_VERSION_MINOR 1
#define LSTM_VERSION_PATCH 0
#define LSTM_VERSION "0.1.0"

/* The version of the library that is loaded, "major.minor.patch" (compare with LSTM_VERSION, that of the header).
 * The text is static. Never fails; any thread. */
const char *lstm_version(void);

/* How the library was built: version, compiler mode and the kernel sets it holds, one line. The text is static.
 * Results are bit-identical for the same seed, build and kernel set. Never fails; any thread. */
const char *lstm_build_info(void);

/* Chooses the set of kernels that models created or loaded from now on use: "baseline" (any x86-64), "avx2" (with FMA),
 * "avx512", "neon", or "auto" (what the processor does best, the default). A model keeps the set it was made with.
 * LSTM_ERR_ARG: an unknown name; LSTM_ERR_UNSUPPORTED: the processor or the build has no such set. Any thread. */
LSTM_CHECK int lstm_use_kernels(const char *name);

/* The name of the set of kernels that the next model will use, never "auto". The text is static. Any thread. */
const char *lstm_kernels(void);

/* ------------------------------------------------------------------------------------------------------------------
 * 2. Errors
 * --------------------------------------------------------------------------------------------------------------- */

#define LSTM_OK 0            /* done */
#define LSTM_STOPPED 1       /* training or generation ended because the callback asked for it; what is there is good */
#define LSTM_ERR_ARG (-1)    /* an argument, field, label or token is wrong: its name, value and what was expected */
#define LSTM_ERR_TYPE (-2)   /* an array of the wrong element type, as numbers where text is read */
#define LSTM_ERR_NOMEM (-3)  /* an allocation failed; try again when there is memory */
#define LSTM_ERR_IO (-4)     /* the operating system refused a file: path and reason */
#define LSTM_ERR_FORMAT (-5) /* a file or buffer that is no model, is damaged or cut short */
#define LSTM_ERR_VERSION (-6)     /* a struct or a file of a newer version of the library */
#define LSTM_ERR_DIVERGED (-7)    /* the loss or a gradient became NaN or infinite; the last good weights are kept */
#define LSTM_ERR_UNSUPPORTED (-8) /* sound, but not possible with this model or on this machine */
#define LSTM_ERR_INTERNAL (-9)    /* a defect of the library: please report it */
#define LSTM_ERR_SOURCE (-10)     /* the function that gives the data (lstm_source) failed: its code, batch and epoch */

/* The meaning of a code in a few words. The text is static; an unknown code has a text too. Any thread. */
const char *lstm_strerror(int code);

/* What was wrong with the last call that failed on this thread: the argument, the value and what was expected, in one
 * line of at most 511 bytes, never NULL, "" before the first failure. Valid until the next failing call on this thread. */
const char *lstm_last_error(void);

/* ------------------------------------------------------------------------------------------------------------------
 * 3. Memory and arrays
 * --------------------------------------------------------------------------------------------------------------- */

/* Where a model takes its memory of run-time size from (weights, optimizer state, activations, streams): NULL instead
 * of a pointer to this struct means malloc. `allocate` returns NULL when it cannot, `alignment` is a power of two of at
 * most 64; `deallocate` gets the same size back. Both must be callable from every thread that uses the model, and stay
 * so until the model, its clones, trainers, predictors, streams and generators are freed. Small bookkeeping objects always
 * come from malloc. */
typedef struct lstm_allocator {
  uint32_t struct_size;
  uint32_t reserved;
  void *(*allocate)(size_t size, size_t alignment, void *user);
  void (*deallocate)(void *memory, size_t size, void *user);
  void *user;
} lstm_allocator;

#define LSTM_FLOAT32 1
#define LSTM_FLOAT64 2
#define LSTM_INT32 3
#define LSTM_INT64 4
#define LSTM_UINT8 5
#define LSTM_STRING 6 /* an element is a `const char *` to UTF-8 text ending with a zero byte */

#define LSTM_MAX_RANK 8

/* A borrowed array: the library reads it during the call and never keeps or changes it. Strides are in bytes, may be
 * zero or negative; elements need no alignment. Axis 0 is the batch.
 *
 * Sequences of different length: give `lengths` (shape[0] numbers from 0 to shape[1]: the steps from there on are
 * padding) or `mask` (shape[0] x shape[1] bytes without gaps, row-major: 0 marks padding, which may stand anywhere), or
 * neither, never both. Padding is never read: a row's result depends on nothing but its own valid steps. As in Keras a
 * recurrent layer carries its state and its output over padding, and losses and metrics leave it out. */
typedef struct lstm_array {
  uint32_t struct_size;
  uint32_t type; /* LSTM_FLOAT32 ... LSTM_STRING */
  uint32_t rank; /* 1 ... LSTM_MAX_RANK */
  uint32_t reserved;
  const void *data;
  int64_t shape[LSTM_MAX_RANK];
  int64_t strides[LSTM_MAX_RANK];
  const int64_t *lengths;
  const uint8_t *mask;
} lstm_array;

/* Fills `array` for row-major data without gaps: strides are made from `shape`, lengths and mask are NULL; change them
 * afterwards where yours differ. `shape` has `rank` entries. LSTM_ERR_ARG: a NULL, an unknown type, a rank outside
 * 1..8, a negative extent or a size beyond the address space. Any thread. */
int lstm_array_init(lstm_array *array, size_t struct_size, uint32_t type, const void *data, uint32_t rank,
                    const int64_t *shape);

/* Samples of a model with several inputs or outputs, for the calls that end in _many: lists of arrays, each of which may
 * have timesteps, lengths or a mask of its own. Those calls take models of one input and one output too; the calls for
 * one array take no others. x are in the order of the description's 'inputs', y and weights in that of its 'outputs'. */
typedef struct lstm_data {
  uint32_t struct_size;
  uint32_t inputs;  /* arrays in x: as many as the model has inputs */
  uint32_t outputs; /* arrays in y and in weights: as many as it has outputs; not read where y is not */
  uint32_t reserved;
  const lstm_array *const *x;
  const lstm_array *const *y;       /* targets; not read by prediction */
  const lstm_array *const *weights; /* [NULL] sample weights, of which any may be NULL */
} lstm_data;

/* Empties `data`: no arrays. */
int lstm_data_init(lstm_data *data, size_t struct_size);

/* ------------------------------------------------------------------------------------------------------------------
 * 4. Models
 * --------------------------------------------------------------------------------------------------------------- */

typedef struct lstm_model lstm_model;

/* Makes a model from its description, a JSON document in which single quotes may stand for double ones:
 *
 *   {'layers': [{'type': 'embedding', 'vocabulary': 10000, 'units': 16},
 *               {'type': 'lstm', 'units': 32},
 *               {'type': 'dense', 'units': 1, 'activation': 'sigmoid'}],
 *    'training': {'loss': 'binary_crossentropy', 'optimizer': 'adam', 'metrics': ['accuracy']}}
 *
 * Fields of the document:
 *   layers       the layers in order, each with a 'type' and the fields below; 'name' is optional in each. A layer reads
 *                what the one before it makes, or, with 'inputs', a list of names, what those layers before it make;
 *                'input' is what the model reads. So layers make a graph. Every layer must be read by another, or be
 *                an output of the model
 *   input_shape  the shape of one sample without the batch, null for any: [null, 7] is any number of steps of 7 features.
 *                Needed unless the first layer is `text` or `embedding`
 *   inputs       instead, of a model with several inputs: [{'name': 'words'}, {'name': 'numbers', 'shape': [null, 7]}],
 *                whose names stand in the 'inputs' of layers; 'shape' is what input_shape is
 *   outputs      the names of the layers that make the model's outputs [the last layer]
 *   activations  'exact' [the default]: sigmoid and tanh within 2 units in the last place, or 'fast': within 5
 *   seed         of the initial weights, dropout and shuffling: an integer from 0 to 2^53, 0 unless given
 *   name         "sequential" unless given
 *   weights      how they are kept, 'float32' unless given, 'bfloat16' or 'int8': what lstm_compress writes
 *   training     what lstm_compile takes
 *
 * Layers (B batch, T timesteps, F features; defaults in brackets):
 *   text       B strings -> [B, T] tokens. level ['word'] or 'character'; lower [true]; length [null: the longest of the
 *              batch]; truncate ['right'] or 'left'; pad ['right'] or 'left'; max_tokens [null]; vocabulary [learned by
 *              lstm_adapt] a list of tokens without the first two. Token 0 is padding, which the layers behind
 *              leave out as they do that of an lstm_array; token 1 is an unknown word.
 *              Words are runs of letters, marks and digits with apostrophes inside; every other sign is a word of its own
 *   normalize  (x - mean) / deviation for each feature of the last axis, learned by lstm_adapt
 *   layer_normalization
 *              [..., F] -> the same: (x - mean) / sqrt(variance + epsilon) gamma + beta, mean and variance those of the
 *              last axis. epsilon [0.001]; center [true]: with beta; scale [true]: with gamma
 *   batch_normalization
 *              the same, mean and variance those of each feature: in training of all steps of the batch but padding, else
 *              moving means, moving = momentum [0.99] moving + (1 - momentum) batch. The other fields are those above
 *   group_normalization
 *              the same, mean and variance those of one of `groups` [32] parts of the features, or each of them (-1), over
 *              all steps of a row but padding, where it gives zeros. epsilon, center, scale. It needs whole sequences
 *   masking    steps of an input of the model of which all numbers are mask_value [0] are padding; no other layer reads
 *              that input
 *   conv1d     [B, T, F] -> [B, outputs, filters]: windows of kernel_size steps, dilation_rate [1] apart, and on by
 *              strides [1]. filters; padding ['valid'], 'same' or 'causal' (no window reads a later step); activation
 *              ['linear']; use_bias [true]
 *   max_pooling, average_pooling
 *              [B, T, F] -> [B, outputs, F], of windows of pool_size [2] steps. strides [pool_size]; padding ['valid']
 *              or 'same'
 *   global_max_pooling, global_average_pooling, last
 *              [B, T, F] -> [B, F]: the largest of all steps, their mean, the last; zeros where all is padding
 *   flatten    [B, ...] -> [B, product of all], where the number of timesteps is known; padding counts as zeros
 *   reshape    the same numbers as [B, target_shape]; one extent may be -1, the first also for an open number of
 *              timesteps, which then stays
 *   repeat_vector
 *              [B, F] -> [B, n, F]. n
 *   slice      features start [0] to stop [null: the end], without it; or with axis 'time' [axis 'features'] timesteps;
 *              negative ones count from the end
 *   cropping, zero_padding
 *              [B, T, ...]: without the first `before` [1] and the last `after` [1] timesteps, or with so many zeros
 *   spatial_dropout
 *              rate of the features of a row, each at all timesteps
 *   gaussian_noise, gaussian_dropout
 *              in training numbers of a normal distribution: of deviation stddev, added; of deviation
 *              sqrt(rate / (1 - rate)) about 1, multiplied with
 *   positional_encoding, position_embedding
 *              [B, T, F] -> [B, T, F], with merge ['add'], or [B, T, 2 F] with 'concat': sines and cosines of the
 *              position, max_wavelength [10000], or learned rows for at most `length` positions
 *              These layers read a row as if its padding were not there: its valid steps follow one another, windows
 *              and positions count them, and it has as many outputs as it would have alone
 *   embedding  [B, T] tokens -> [B, T, units]. vocabulary, units; mask_zero [false]: token 0 is padding
 *   lstm       [B, T, F] -> [B, units], or [B, T, units] with return_sequences. units; activation ['tanh'];
 *              recurrent_activation ['sigmoid']; use_bias [true]; unit_forget_bias [true]; return_sequences [false];
 *              go_backwards [false]: from the last step to the first, and outputs and their padding in that order;
 *              dropout [0] of the inputs and recurrent_dropout [0] of the state in the products, one mask a sequence;
 *              initial_state ['zeros'] or 'learned': sequences and streams begin with trained numbers. The states behind
 *              the last step, h [B, U] and p c [B, U], are read as "<name>.hidden" and "<name>.memory" in the 'inputs' of
 *              other layers and in 'outputs'; those to begin with may be given by two further inputs instead:
 *              'inputs': ['x', 'encoder.hidden', 'encoder.memory']. And of an lstm
 *                peepholes [false]      the gates i and f also see p c, o sees p c' (Gers & Schmidhuber 2000)
 *                coupled_gates [false]  f = 1 - i, and the weights' gates are i g o; unit_forget_bias gives i a bias of -1
 *                projection [null]      a number of outputs, 1 to units: h' = (o a(c')) P (Sak et al. 2014; PyTorch's
 *                                       proj_size); not with zoneout_hidden
 *                gate_clip [null]       what gates see is kept within so much of 0 (ONNX's clip)
 *                cell_clip [null]       c' too (TFLite's cell_clip)
 *                zoneout_hidden [0], zoneout_memory [0]: shares of h and c that stay as they were, chosen anew at each
 *                                       step in training and mixed in otherwise (Krueger et al. 2017)
 *                layer_normalization [false]: with N(v) = (v - mean) / sqrt(variance + norm_epsilon [0.001]), of which a
 *                                       vector of all gates has one mean and one variance, the gates see
 *                                       g N(x W) + g' N(h U) + b, and h' = o a(g'' N(c') + b'') (Ba et al. 2016)
 *   gru        the same shapes and fields, of the last list gate_clip and zoneout_hidden (with reset_after), but
 *              reset_after [true] in place of unit_forget_bias, and "<name>.hidden" is its only state. With update gate z,
 *              reset gate r, candidate n and state h (s the recurrent activation, a the activation):
 *                z, r = s(x W + b + h U + b')   h' = z h + (1 - z) n
 *                n = a(x W + b + r (h U + b'))  with reset_after, as cuDNN, PyTorch and Keras
 *                n = a(x W + b + (r h) U)       without (Cho et al. 2014), and then b' is zero in all gates
 *              layer_normalization [false], with reset_after: g N(x W) and g' N(h U) in place of these products
 *   simple_rnn h' = a(x W + h R + b). The same shapes and state; units, activation, use_bias, return_sequences,
 *              go_backwards, dropout, recurrent_dropout and initial_state
 *   min_gru, min_lstm
 *              the same shapes; gates that know nothing of h, so that a long sequence costs one product of matrices.
 *              units; activation ['g'] of the candidate n: x + 1/2 from 0 on and s(x) below, or 'linear'; use_bias [true];
 *              return_sequences [false]; go_backwards [false]; min_lstm: unit_forget_bias [true]
 *                h' = (1 - z) h + z n          min_gru (Feng et al. 2024)
 *                h' = (f h + i n) / (f + i)    min_lstm
 *   slstm      the same shapes; LSTM with exponential gates and a normalizer (Beck et al. 2024, docs/layers/slstm.md).
 *              units; heads [1], a divisor of units: parts of the units with recurrent weights of their own; use_bias
 *              [true]; forget_bias ['powerlaw'], 'linspace' or 'zeros': what those of a head begin with, 5 to -7 or 3 to
 *              6; return_sequences [false]; go_backwards [false]
 *   mlstm      the same shapes; LSTM with a matrix as memory for each head (Beck et al. 2024, docs/layers/mlstm.md).
 *              units; heads [1]; key_dim [units / heads] of a head's query and key; output_gate [true]; use_bias [true];
 *              forget_bias ['linspace'] as above, over the heads; return_sequences [false]; go_backwards [false]
 *   bidirectional
 *              layer: the description of an lstm, gru or simple_rnn without go_backwards, and a second one of the same
 *              that goes backwards. Both outputs stand at the timestep that they belong to, so that with return_sequences
 *              the second has read from the last step to this one. merge ['concat'] [B, 2 units] or [B, T, 2 units],
 *              'sum', 'mul' or 'ave' (the mean) [B, units] or [B, T, units], null [B, 2, units] or [B, T, 2, units]. Its
 *              states are read as "<name>.forward_hidden", ".forward_memory", ".backward_hidden", ".backward_memory"
 *   attention  queries [B, T, F], values [B, S, G] and keys [B, S, F] (the values unless they are a third input) ->
 *              [B, T, G]: the mean of the values, weighted with the softmax over the keys of the scores. score_mode ['dot'],
 *              q k, or 'concat', w sum tanh(c (q + k)); use_scale [false]: q k times c, or c, is learned; dropout [0] of the
 *              weights; causal [false]: a step sees no later ones; window [null]: and of these so many at most, which a
 *              stream keeps. Keys of padding have no weight, and what stands at queries of padding is zero
 *   additive_attention
 *              the same with the scores sum w tanh(q + k). use_scale [true]: w, one for each feature, is learned, else 1;
 *              dropout, causal, window
 *   multi_head_attention
 *              of one input, or queries, values and perhaps keys as above, all of any features -> [B, T, F]: attention of
 *              num_heads heads, each of projections of its own to key_dim and value_dim [key_dim] numbers, its products
 *              times 1 / sqrt(key_dim); what they give, side by side, is projected to F. use_bias [true]; dropout, causal,
 *              window
 *   transformer_encoder
 *              [B, T, F] -> [B, T, F]: x + f(x) for f multi_head_attention and then for f dense (units), activation,
 *              dense, with a layer_normalization behind each sum, or with norm_first [false] before each f. units;
 *              num_heads; key_dim [F / num_heads]; activation ['relu']; dropout [0] of the weights, the activations and
 *              each f; epsilon [1e-5]; causal, window
 *   transformer_decoder
 *              [B, T, F], [B, S, G] -> [B, T, F]: the same, causal, and between its two f attention to the second input
 *   dense      [..., F] -> [..., units]. units; activation ['linear']; use_bias [true]
 *   crf        [B, T, units] scores of tags (emissions) -> [B, T, units] 1 for the tag of the best sequence and 0 for the
 *              others, or with output ['tags'] 'probabilities' that of each tag. units: the tags. The last layer, of loss
 *              crf; docs/labels.md
 *   dropout    rate
 *   activation activation: linear, sigmoid, tanh, relu, softmax, hard_sigmoid, elu, gelu, silu or softplus
 *   add, subtract, multiply, average, maximum, minimum
 *              two or more inputs of one shape (subtract: two) -> the same shape, element by element
 *   concatenate
 *              [..., F], [..., G], ... -> [..., F + G + ...]
 *
 * Every layer with trainable parameters also takes two objects with a member for each kind of parameter (section 5) that
 * has one, as 'regularizers': {'input_weights': 'l2', 'bias': {'type': 'l1', 'l1': 0.001}}.
 *   regularizers  l1, l2, l1_l2 (l1 [0.01], l2 [0.01]): the loss, as it is reported too, grows by l1 |w| + l2 w^2 of
 *                 every weight
 *   constraints   what the weights are made to be after each update: max_norm (max_value [2]), unit_norm, min_max_norm
 *                 (min_value [0], max_value [1], rate [1]), each of the norms along axis [0], that of a column; non_neg
 *
 * Weights begin as in Keras: Glorot uniform, orthogonal for recurrent ones, zero for biases but 1 for the forget gate.
 * A field that is unknown, missing or out of range gives LSTM_ERR_ARG and names its place: "layers[1].units: ...".
 * `allocator` may be NULL. Free the model with lstm_free. */
LSTM_CHECK int lstm_create(const char *description, const lstm_allocator *allocator, lstm_model **model);

/* A second model with the same description, weights, vocabulary and training state, independent from then on. */
LSTM_CHECK int lstm_clone(const lstm_model *model, lstm_model **clone);

#define LSTM_BF16 1 /* bfloat16: the upper 16 bits of floats */
#define LSTM_INT8 2 /* integers from -127 to 127, with a scale for each column (of an embedding for each row) */

/* A second model for prediction and streaming with compressed weights: of its matrices of weights half or a quarter of
 * the bytes pass through memory and are saved, which makes small batches and streams that much faster. Biases, what
 * normalizes, the weights of `conv1d` and the recurrent ones of an slstm keep their 32 bits. With LSTM_BF16 only the weights are rounded (to
 * the nearest); with LSTM_INT8 so are the numbers that they are multiplied with, each row by its largest one. What section
 * 7 and 8 say of bits holds. Weights read by lstm_get_parameter are the rounded ones; calls that would change weights,
 * learn or evaluate give LSTM_ERR_UNSUPPORTED, for the model has no 'training'. A recurrent layer of at most 16 units, a
 * GRU without reset_after, projections, and with LSTM_BF16 a dense layer of at most 16 units multiply with float32
 * (rounded all the same). LSTM_ERR_ARG: a format that is none, weights that are not finite, or more than 65536 inputs to
 * 8-bit weights. Free it with lstm_free. */
LSTM_CHECK int lstm_compress(const lstm_model *model, uint32_t format, lstm_model **compressed);

/* Frees a model; NULL and handles that are not (or no longer) models are ignored. */
void lstm_free(lstm_model *model);

/* The table that Keras users know: layer, output shape, parameters, and in a graph what a layer reads. (buffer, capacity,
 * count) as above. */
LSTM_CHECK int lstm_summary(const lstm_model *model, char *buffer, size_t capacity, size_t *count);

/* The whole description as one line of JSON: every field with its value, the vocabulary included. lstm_create makes an
 * equal model of it (with fresh weights). (buffer, capacity, count) as above. */
LSTM_CHECK int lstm_describe(const lstm_model *model, char *buffer, size_t capacity, size_t *count);

/* Learns from data what is not learned by gradients: the vocabulary of a `text` layer, most frequent token first (no more
 * than max_tokens and the next layer's vocabulary allow), and mean and deviation of every `normalize` layer. `x` is what
 * lstm_train takes. What was learned or given before is replaced. */
LSTM_CHECK int lstm_adapt(lstm_model *model, const lstm_array *x);
LSTM_CHECK int lstm_adapt_many(lstm_model *model, const lstm_data *data);

/* The shape of lstm_predict's result for `x`: writes `*rank` extents to `shape` (LSTM_MAX_RANK entries). */
LSTM_CHECK int lstm_output_shape(const lstm_model *model, const lstm_array *x, int64_t *shape, uint32_t *rank);

/* The same of output number `output`, counted from 0, of lstm_predict_many for `data`. */
LSTM_CHECK int lstm_output_shape_many(const lstm_model *model, const lstm_data *data, uint32_t output, int64_t *shape,
                                      uint32_t *rank);

/* ------------------------------------------------------------------------------------------------------------------
 * 5. Parameters
 * --------------------------------------------------------------------------------------------------------------- */

#define LSTM_NAME_SIZE 128

/* One parameter: "<layer>.<kind>", as "lstm.recurrent_weights". Layouts are Keras's:
 *   embedding.weights [vocabulary, units]; dense.weights [inputs, units], dense.bias [units]; normalize.mean and
 *   normalize.variance [features], not trainable; layer_normalization.gamma and layer_normalization.beta [features], and
 *   those of group_normalization;
 *   batch_normalization.gamma, .beta, .moving_mean and .moving_variance [features], the last two not trainable;
 *   conv1d.weights [kernel_size, features, filters], conv1d.bias [filters]; position_embedding.weights [length, features];
 *   lstm.input_weights [inputs, 4 units], lstm.recurrent_weights [units, 4 units], lstm.bias [4 units], gates in the order
 *   i f g o (input, forget, cell candidate, output), and as its options say lstm.peepholes [3, units] of i f o (coupled
 *   [2, units] of i o), lstm.projection_weights [units, projection] (and then recurrent_weights [projection, 4 units]),
 *   lstm.initial_hidden [units, or projection] and initial_memory [units], and of layer_normalization lstm.input_gamma,
 *   lstm.recurrent_gamma [4 units], lstm.memory_gamma, lstm.memory_beta [units];
 *   gru.input_weights [inputs, 3 units], gru.recurrent_weights [units, 3 units], gru.bias [2, 3 units] with reset_after
 *   (b, then b' of the recurrent product), else [3 units], gates in the order z r n (update, reset, candidate), of
 *   layer_normalization gru.input_gamma and gru.recurrent_gamma [3 units];
 *   simple_rnn.input_weights [inputs, units], simple_rnn.recurrent_weights [units, units], simple_rnn.bias [units];
 *   min_gru.input_weights [inputs, 2 units] and bias [2 units], gates z n; of min_lstm [inputs, 3 units], gates i f n; of
 *   slstm [inputs, 4 units], gates i f z o, and behind the bias slstm.recurrent_weights [units, 4 units / heads], the rows
 *   of a head its units, the columns these units of each gate; mlstm.input_weights [inputs, C] and bias [C], C columns
 *   q [heads key_dim], k [heads key_dim], v [units], o [units] with output_gate, i [heads], f [heads];
 *   crf.start [tags], crf.transitions [tags, tags] from row to column, crf.end [tags];
 *   bidirectional.forward_input_weights ..., then bidirectional.backward_input_weights ..., of its two layers each;
 *   attention.scale [1] and attention.score_weight [1]; additive_attention.score_weights [features];
 *   multi_head_attention.query_weights [features, num_heads key_dim], .query_bias, .key_weights, .key_bias, .value_weights
 *   [features, num_heads value_dim], .value_bias, .output_weights [num_heads value_dim, features], .output_bias, the
 *   columns of a head side by side; those of transformer_encoder and transformer_decoder in docs/layers. */
typedef struct lstm_parameter {
  uint32_t struct_size;
  uint32_t trainable; /* 1 or 0 */
  uint32_t rank;
  uint32_t reserved;
  int64_t shape[LSTM_MAX_RANK];
  size_t count; /* of values: the product of the shape */
  char name[LSTM_NAME_SIZE];
} lstm_parameter;

/* The number of parameters (named arrays, not values). */
LSTM_CHECK int lstm_parameter_count(const lstm_model *model, size_t *count);

/* Describes parameter `index`, in the order of the layers. struct_size must be set (info->struct_size = sizeof *info). */
LSTM_CHECK int lstm_parameter_info(const lstm_model *model, size_t index, lstm_parameter *info);

/* Copies the values of a parameter, row-major. (values, capacity, count) as above. */
LSTM_CHECK int lstm_get_parameter(const lstm_model *model, const char *name, float *values, size_t capacity,
                                  size_t *count);

/* Sets all values of a parameter: `count` must be its size and every value finite. */
LSTM_CHECK int lstm_set_parameter(lstm_model *model, const char *name, const float *values, size_t count);

/* ------------------------------------------------------------------------------------------------------------------
 * 6. Training
 * --------------------------------------------------------------------------------------------------------------- */

/* Sets what training minimises, and forgets all optimizer state and counters:
 *
 *   {'loss': 'mse', 'optimizer': {'type': 'adam', 'learning_rate': 0.01, 'clipnorm': 1}, 'metrics': ['mae']}
 *
 *   loss       a name or {'type': name, ...}, with defaults in brackets; equations in docs/losses.md:
 *              mse, mae, mape, msle, huber (delta [1]), log_cosh, poisson (log_input [false]), cosine_similarity
 *              binary_crossentropy, binary_focal_crossentropy (gamma [2], alpha [0.25], apply_class_balancing [false]),
 *              hinge, squared_hinge (targets -1 or 1, and 0 for -1)
 *              categorical_crossentropy, sparse_categorical_crossentropy, kl_divergence, categorical_hinge,
 *              categorical_focal_crossentropy (gamma [2], alpha [0.25])
 *              quantile (quantiles: a number between 0 and 1, or a list of such): an output for each
 *              gaussian_nll (min_variance [1e-6]): location and logarithm of the variance
 *              student_t_nll (min_variance, degrees_of_freedom [null: learned, or a number]): the same of the scale, and
 *              when it is learned a third output. These have several outputs for each target, in blocks: first the
 *              first of every target, then the second of every target
 *              contrastive (margin [1], pairs [false]): of distances, or of pairs of vectors beside each other
 *              ctc (blank [0], from_logits [null: unless a softmax is last], zero_infinity [false]): of sequences of
 *              labels, with outputs for each timestep; docs/labels.md
 *              crf: of tags, class indices for each timestep; of a model that ends in a crf
 *              Cross-entropies, focal losses and kl_divergence also take from_logits [false], and all of these but
 *              kl_divergence label_smoothing [0]: the share of each target that is spread over all classes alike
 *   optimizer  ["adam"] sgd (learning_rate [0.01], momentum [0], nesterov [false]), rmsprop (learning_rate [0.001], rho [0.9],
 *              momentum [0], epsilon [1e-7], centered [false]), adam (learning_rate [0.001], beta_1 [0.9],
 *              beta_2 [0.999], epsilon [1e-7], amsgrad [false]), adamw (as adam, weight_decay [0.004]), adagrad
 *              (learning_rate [0.001], initial_accumulator_value [0.1], epsilon [1e-7]); and, each with learning_rate
 *              [0.001]: adamax, nadam (beta_1 [0.9], beta_2 [0.999], epsilon [1e-7]), adadelta (rho [0.95],
 *              epsilon [1e-7]), ftrl (initial_accumulator_value [0.1], l1_regularization_strength [0],
 *              l2_regularization_strength [0], l2_shrinkage_regularization_strength [0], beta [0]), lion (beta_1 [0.9],
 *              beta_2 [0.99]), adafactor (beta_2_decay [-0.8], epsilon_1 [1e-30], epsilon_2 [0.001], clip_threshold [1]).
 *              Any of: clipvalue (each value), clipnorm (each parameter's norm) or global_clipnorm (the norm of all), and
 *              weight_decay; gradient_accumulation_steps [null]: batches whose mean gradient makes one update.
 *              Averages of the weights: use_ema [false], with ema_momentum [0.99] and ema_overwrite_frequency [null] (the
 *              weights become the average after so many updates); or average_from [null]: the mean of the weights after
 *              that update, counted from 1, and all later ones. See lstm_serve_average
 *   learning_rate
 *              of the optimizer: a number, or a schedule that follows the batches trained on, with s = batches / decay_steps:
 *                piecewise_constant_decay (boundaries, values: one more; a boundary belongs to the value before it)
 *                exponential_decay (initial_learning_rate, decay_steps, decay_rate, staircase [false]): initial decay_rate^s
 *                inverse_time_decay (the same fields): initial / (1 + decay_rate s). staircase: s without its fraction
 *                polynomial_decay (initial_learning_rate, decay_steps, end_learning_rate [0.0001], power [1],
 *                cycle [false]): (initial - end) (1 - s)^power + end; cycle: again, over whole multiples of decay_steps
 *                cosine_decay (initial_learning_rate, decay_steps, alpha [0]): half a wave down to alpha of initial
 *                cosine_decay_restarts (initial_learning_rate, first_decay_steps, t_mul [2], m_mul [1], alpha [0])
 *                one_cycle (max_learning_rate, total_steps, pct_start [0.3], anneal_strategy ['cos'] or 'linear',
 *                div_factor [25], final_div_factor [10000], three_phase [false]), as PyTorch's OneCycleLR
 *                warmup (initial_learning_rate [0], warmup_steps, learning_rate: a number or a schedule): in a straight
 *                line to where that begins, then that from its beginning
 *   metrics    a list of names or {'type': name, ...}, each once, the columns of the history; see docs/metrics.md:
 *              accuracy (the form that fits the loss and the output), binary_accuracy (threshold [0.5, of hinge losses
 *              0]), categorical_accuracy, sparse_categorical_accuracy, top_k_accuracy (k [5])
 *              precision, recall, f1 (threshold), of classes with _macro, _micro or _weighted behind it; auc
 *              perplexity; edit_distance, token_error_rate, bleu of sequences (end_token [null])
 *              mse, rmse, mae, mape, msle, log_cosh, r2, cosine_similarity, poisson, kl_divergence, hinge,
 *              squared_hinge, categorical_hinge and the three crossentropies: of gaussian_nll, student_t_nll and
 *              quantile these measure the location or the quantile next to the median
 *
 * Of a model with several outputs 'loss' is one for all, a list with one for each, or an object with members of their
 * names; so are 'metrics', but none for all, and 'loss_weights' [1], numbers >= 0. What is minimised is the sum of the
 * weighted losses, the column "loss"; each output also has columns, of its name: "a_loss", without the weight, "a_mae".
 *
 * Losses, optimizers and metrics compute what Keras 3 computes, with its defaults. A loss that follows its own
 * activation (sigmoid, softmax) is computed from the logits, without loss of accuracy. */
LSTM_CHECK int lstm_compile(lstm_model *model, const char *training);

#define LSTM_MAX_COLUMNS 32

#define LSTM_EVENT_TRAIN_BEGIN 1
#define LSTM_EVENT_EPOCH_BEGIN 2
#define LSTM_EVENT_BATCH_END 3
#define LSTM_EVENT_EPOCH_END 4
#define LSTM_EVENT_TRAIN_END 5

/* What the progress callback sees; valid during the callback only. `names` and `values` hold `columns` entries: the loss
 * and metrics of the epoch so far and, at the end of an epoch with validation data, the same again as "val_...". */
typedef struct lstm_progress {
  uint32_t struct_size;
  uint32_t event;  /* LSTM_EVENT_... */
  uint32_t epoch;  /* from 0, of this call */
  uint32_t epochs; /* of this call */
  size_t batch;    /* batches done in this epoch */
  size_t batches;  /* in each epoch; 0: not known (lstm_train_from) */
  size_t samples;  /* samples done in this epoch */
  double seconds;  /* since the epoch began */
  double samples_per_second;
  double learning_rate;
  uint32_t columns;
  uint32_t reserved;
  const char *const *names;
  const double *values;
  size_t gradient_count;        /* lstm_parameter_count of them; 0 before the first step */
  const double *gradient_norms; /* of the last step, as lstm_trainer_gradient_norms */
} lstm_progress;

/* Called on the thread that called lstm_train. Return 0 to go on; anything else stops training, which then returns
 * LSTM_STOPPED with the weights as they are (the best ones with restore_best). Functions that take the model as const
 * may be called inside, and lstm_set_learning_rate; the others return LSTM_ERR_ARG. A model saved inside is one in the
 * middle of training: after lstm_load, `resume` goes on from there. Must not leave by longjmp or an exception. */
typedef int (*lstm_progress_callback)(const lstm_progress *progress, void *user);

#define LSTM_LOG_DEBUG 10
#define LSTM_LOG_INFO 20
#define LSTM_LOG_WARNING 30

/* Receives one whole line, without newline, valid during the callback only. */
typedef void (*lstm_log_callback)(int level, const char *line, void *user);

#define LSTM_MODE_AUTO 0 /* what is best follows from the metric: the largest accuracy, the smallest mae */
#define LSTM_MODE_MIN 1
#define LSTM_MODE_MAX 2

/* How to run. A NULL pointer to options means all defaults (in brackets). lstm_evaluate reads batch_size, threads,
 * sample_weights and class_weights, lstm_predict reads batch_size and threads; the others mean nothing to them.
 *
 * Weights multiply the losses, whose sum is divided by the number of samples, or of timesteps that are no padding, as
 * in Keras. sample_weights have the shape [batch] or, of an output for each timestep, [batch, timesteps]; those of
 * padding are not read. A label is what stands in y, for each sample or each timestep: a class, a number, or of several
 * targets the place of the largest. */
typedef struct lstm_options {
  uint32_t struct_size;
  uint32_t batch_size; /* [32] samples in a step */
  uint32_t epochs;     /* [1] */
  uint32_t shuffle;    /* [1] a new order each epoch, drawn from `seed` and the number of epochs trained; 0: as given */
  uint64_t seed;       /* [0: the model's seed] of the shuffling */

  double validation_split;        /* [0] in [0, 1): the last fraction of the samples, split off before shuffling */
  const lstm_array *validation_x; /* [NULL] or validation data of their own; not with validation_split */
  const lstm_array *validation_y; /* [NULL] */
  const lstm_array *validation_weights; /* [NULL] sample_weights of validation_x */
  const lstm_array *sample_weights;     /* [NULL] numbers >= 0, one for each sample or each timestep */
  const double *class_weights;          /* [NULL] class_count weights >= 0, one for each label 0, 1, ... */
  size_t class_count;                   /* [0] */

  uint32_t early_stopping;   /* [0] 1: stop when `monitor` has not improved for `patience` epochs */
  uint32_t patience;         /* [0] */
  uint32_t start_from_epoch; /* [0] epochs before that are not looked at */
  uint32_t restore_best;     /* [1] end with the weights of the best epoch (early_stopping only) */
  uint32_t monitor_mode;     /* [LSTM_MODE_AUTO] */
  uint32_t progress_batches; /* [1] call `progress` after every n batches; 0: only for epochs and training */
  double min_delta;          /* [0] the least change that counts as an improvement */
  const char *monitor;       /* ["val_loss"] a column of the history */

  lstm_progress_callback progress; /* [NULL] */
  void *progress_user;
  lstm_log_callback log; /* [NULL: silent] */
  void *log_user;
  int32_t log_level; /* [LSTM_LOG_INFO] the lowest level that is sent */
  uint32_t reserved;

  uint32_t threads; /* [0] that work at once, the caller among them, at most 1024; 0: as many as help, and no more than
                     * the processors that this process may use */
  uint32_t bptt_steps; /* [0: whole sequences] truncated backpropagation through time: an update after each so many
                        * timesteps of the batch, whose sequences go on with the states of the layers, through which no
                        * gradient goes. Outputs are for each timestep. A batch, which ends with its last chunk, counts
                        * as one: then progress is told and training can stop. See docs/truncated-bptt.md */

  uint32_t resume;            /* [0] 1: go on in the middle of the epoch in which the training of this model was stopped
                               * or saved: with the same data, metrics, batch_size, shuffle and seed the bits of training
                               * that never stopped. The rest of that epoch is the first of `epochs` */
  uint32_t reduce_on_plateau; /* [0] 1: multiply the learning rate by plateau_factor when `plateau_monitor` has not
                               * improved for plateau_patience epochs. What was seen is part of the training state */
  uint32_t plateau_patience;  /* [10] */
  uint32_t plateau_cooldown;  /* [0] epochs after a reduction that do not count */
  uint32_t plateau_mode;      /* [LSTM_MODE_AUTO] */
  uint32_t reserved_3;
  double plateau_factor;       /* [0.1] between 0 and 1 */
  double plateau_min_delta;    /* [0.0001] */
  double plateau_min_rate;     /* [0] the learning rate does not fall below it */
  const char *plateau_monitor; /* ["val_loss"] a column of the history */
  size_t steps_per_epoch; /* [0: until the source ends] batches of an epoch of lstm_train_from or lstm_evaluate_from */
  const lstm_data *validation; /* [NULL] instead of validation_x, validation_y and validation_weights */
} lstm_options;

/* Fills `options` with the defaults. */
int lstm_options_init(lstm_options *options, size_t struct_size);

/* The figures of a training or an evaluation, one row an epoch. The caller gives `values`, room for `capacity` rows of
 * LSTM_MAX_COLUMNS numbers; the library sets rows, columns and names: values[row * LSTM_MAX_COLUMNS + column].
 * When there are more epochs than rows, the last row holds the last epoch. The names are static text or, of a model with
 * several outputs, last until it is compiled anew or freed. */
typedef struct lstm_history {
  uint32_t struct_size;
  uint32_t columns;
  size_t capacity;
  size_t rows;
  double *values;
  const char *names[LSTM_MAX_COLUMNS];
} lstm_history;

/* Fills `history` to use `values`, room for `capacity` (at least 1) rows of LSTM_MAX_COLUMNS numbers. */
int lstm_history_init(lstm_history *history, size_t struct_size, double *values, size_t capacity);

/* Trains on samples x with targets y: `epochs` times over all samples in batches.
 *   x  what the first layer takes: strings [B]; tokens [B, T] (integers, or floats with integral values);
 *      or numbers [B, ...input_shape].
 *   y  numbers of the shape of the model's output (a last axis of 1 may be left out); for
 *      sparse_categorical_crossentropy class indices of that shape without its last axis; for losses with several
 *      outputs for each target that many times fewer on the last axis, for pairs one; for ctc labels [B, L], of which
 *      lengths or a mask of y tell the padding, or else the blank and -1 behind them. Labels that need more timesteps
 *      than their row has are refused, or with zero_infinity have no loss; class_weights and weights of timesteps too.
 * options and history may be NULL. Training goes on where an earlier call stopped (optimizer state, shuffling), also
 * after save and load: the bits are those of one longer call.
 * LSTM_STOPPED: the callback asked for it. LSTM_ERR_DIVERGED: the loss or a gradient was not finite; weights and
 * optimizer are those of the beginning of that epoch. Any other error in mid-training keeps the weights of the last
 * whole step. A NaN in x or y is refused (LSTM_ERR_ARG) before the step that would use it. */
LSTM_CHECK int lstm_train(lstm_model *model, const lstm_array *x, const lstm_array *y, const lstm_options *options,
                          lstm_history *history);

/* Loss and metrics on (x, y), without dropout, into row 0 of `result` (which must not be NULL). */
LSTM_CHECK int lstm_evaluate(const lstm_model *model, const lstm_array *x, const lstm_array *y,
                             const lstm_options *options, lstm_history *result);

/* lstm_train and lstm_evaluate of a model with several inputs or outputs. options->sample_weights must be NULL, and there
 * are no class_weights for several outputs. */
LSTM_CHECK int lstm_train_many(lstm_model *model, const lstm_data *data, const lstm_options *options,
                               lstm_history *history);
LSTM_CHECK int lstm_evaluate_many(const lstm_model *model, const lstm_data *data, const lstm_options *options,
                                  lstm_history *result);

#define LSTM_SOURCE_END 1

/* Gives one batch of data that need not be in memory as a whole: fills x, y and, if there are any, sample weights, which
 * come empty (lstm_array_init does it), with arrays as lstm_train takes them, good until the next call. `epoch` is the
 * number of epochs that the model was trained for, `batch` counts from 0 in each; a resumed epoch begins with a later
 * batch. Called on the thread that called the library. Returns LSTM_OK; LSTM_SOURCE_END when the epoch is over; or any
 * other number, which ends the call with LSTM_ERR_SOURCE. Must not leave by longjmp or an exception. */
typedef int (*lstm_source)(uint64_t epoch, size_t batch, lstm_array *x, lstm_array *y, lstm_array *weights, void *user);

/* lstm_train and lstm_evaluate on the batches of a source, whose sizes may differ; batch_size, shuffle, seed and
 * validation_split mean nothing here. The model has one input and one output. After an error of the source it has the
 * weights of the last whole step, and may resume. */
LSTM_CHECK int lstm_train_from(lstm_model *model, lstm_source source, void *user, const lstm_options *options,
                               lstm_history *history);
LSTM_CHECK int lstm_evaluate_from(const lstm_model *model, lstm_source source, void *user, const lstm_options *options,
                                  lstm_history *result);

/* The learning rate of the next step, part of the model's training state. It may be set in the progress callback of a
 * training too. LSTM_ERR_ARG: a model that is not compiled, a number that is not finite or below 0, or an optimizer whose
 * learning rate follows a schedule. */
LSTM_CHECK int lstm_learning_rate(const lstm_model *model, double *rate);
LSTM_CHECK int lstm_set_learning_rate(lstm_model *model, double rate);

/* Makes the weights of a model whose optimizer averages them the average (1), or those that are trained (0); all calls
 * then see these, and so does a saved file, which holds both. lstm_train ends with the average, unless it restored the
 * best weights; training goes on from those that are trained. LSTM_ERR_ARG: there is no average, or not yet. */
LSTM_CHECK int lstm_serve_average(lstm_model *model, uint32_t average);
/* The confusion matrix: counts[actual * classes + predicted] tells how often one class was taken for another, over all
 * samples or timesteps that are no padding. The decision is the largest output; of a loss of yes or no with one output
 * there are two classes, and it is yes above 0.5, of logits and hinge losses above 0. Of options, batch_size and threads
 * are read. (counts, capacity, count) as above, classes * classes of them. LSTM_ERR_UNSUPPORTED: another loss. */
LSTM_CHECK int lstm_confusion_matrix(const lstm_model *model, const lstm_array *x, const lstm_array *y,
                                     const lstm_options *options, int64_t *counts, size_t capacity, size_t *count);

/* Training for those who write their own loop: one step on one batch at a time. lstm_train is built on it. */
typedef struct lstm_trainer lstm_trainer;

/* Makes a trainer for a compiled model. It uses the model's own optimizer state, and keeps its working memory between
 * steps. Until it is freed, the model refuses lstm_train, lstm_compile, lstm_adapt and a second trainer; between steps
 * all else may be called. */
LSTM_CHECK int lstm_trainer_create(lstm_model *model, lstm_trainer **trainer);

/* One step on one batch: forward, loss, backward, update. `weights` (or NULL) are sample_weights of lstm_options. The
 * loss before the update goes to *loss (may be NULL). After the first step of a size (samples and timesteps) nothing is
 * allocated in further ones. LSTM_ERR_DIVERGED: not finite, and nothing was updated. */
LSTM_CHECK int lstm_trainer_step(lstm_trainer *trainer, const lstm_array *x, const lstm_array *y,
                                 const lstm_array *weights, double *loss);

/* The same on data for a model with several inputs or outputs. */
LSTM_CHECK int lstm_trainer_step_many(lstm_trainer *trainer, const lstm_data *data, double *loss);

/* The weights of the classes from the next step on, as class_weights of lstm_options; they are copied. NULL and 0:
 * none. */
LSTM_CHECK int lstm_trainer_set_class_weights(lstm_trainer *trainer, const double *weights, size_t count);

/* The gradient of the last step's loss for one parameter, after clipping, in the layout of the parameter.
 * With gradient_accumulation_steps it is the mean at an update, else that of the batch.
 * LSTM_ERR_ARG: no such trainable parameter, or no step yet. (values, capacity, count) as above. */
LSTM_CHECK int lstm_trainer_gradient(const lstm_trainer *trainer, const char *name, float *values, size_t capacity,
                                     size_t *count);

/* The Euclidean norms of the last step's gradients before clipping, one for each parameter in the order of
 * lstm_parameter_info; 0 for those that are not trained. LSTM_ERR_ARG: no step yet. (norms, capacity, count) as above. */
LSTM_CHECK int lstm_trainer_gradient_norms(const lstm_trainer *trainer, double *norms, size_t capacity, size_t *count);

/* As lstm_set_learning_rate and lstm_learning_rate. */
LSTM_CHECK int lstm_trainer_set_learning_rate(lstm_trainer *trainer, double rate);
LSTM_CHECK int lstm_trainer_learning_rate(const lstm_trainer *trainer, double *rate);

/* The threads of the steps from now on, as `threads` of lstm_options; 0 is the default. The trainer keeps its workers:
 * after a step they wait for the next one, at most 0.1 ms of that awake, and they end with the trainer. */
LSTM_CHECK int lstm_trainer_set_threads(lstm_trainer *trainer, uint32_t threads);

/* Carries states from step to step (1) or not (0, the default): row i of a step goes on where row i of the step before ended,
 * with the states of all layers as constants, so that long sequences may come in chunks (truncated backpropagation through
 * time; Keras's stateful layers). All steps have as many samples. Padding leaves a state as it is; a step of nothing but
 * padding is none, and its loss 0. After an error the states are those before the step. LSTM_ERR_UNSUPPORTED: a layer needs
 * the whole sequence (go_backwards, bidirectional, an attention that is not causal), or looks back at timesteps (conv1d,
 * positions, pooling over time), or states go from layer to layer. */
LSTM_CHECK int lstm_trainer_carry(lstm_trainer *trainer, uint32_t carry);

/* The next step begins other sequences, as the first one does. LSTM_ERR_ARG: a trainer that does not carry states. */
LSTM_CHECK int lstm_trainer_reset_state(lstm_trainer *trainer);

/* Frees a trainer and ends its workers; NULL and handles that are no trainers are ignored. The model and its training
 * state stay. */
void lstm_trainer_free(lstm_trainer *trainer);

/* ------------------------------------------------------------------------------------------------------------------
 * 7. Prediction
 * --------------------------------------------------------------------------------------------------------------- */

/* The model's outputs for all samples of x, row-major, in the shape that lstm_output_shape gives. A row's result does
 * not depend on the other rows, on the batch size or on padding, to the last bit. (y, capacity, count) as above.
 * options may be NULL. */
LSTM_CHECK int lstm_predict(const lstm_model *model, const lstm_array *x, const lstm_options *options, float *y,
                            size_t capacity, size_t *count);

/* All outputs of a model with several inputs or outputs, one behind the other, each as lstm_output_shape_many says. */
LSTM_CHECK int lstm_predict_many(const lstm_model *model, const lstm_data *data, const lstm_options *options, float *y,
                                 size_t capacity, size_t *count);

/* lstm_predict for many small calls: a predictor keeps working memory and workers between them. It belongs to one
 * thread at a time; many predictors may share one model. It sees the model's weights as they are at each call; do not
 * train the model while another thread runs it. Where an embedding feeds an lstm or gru (of standard options), a
 * predictor keeps memory for the first products of all tokens, unless they take more than 64 MB, and makes them once twice
 * as many tokens have come as there are in the vocabulary; lstm_predict does so for the time of a call. */
typedef struct lstm_predictor lstm_predictor;

/* Makes a predictor. `threads` as in lstm_options. Its workers wait between calls as those of a trainer. */
LSTM_CHECK int lstm_predictor_create(const lstm_model *model, uint32_t threads, lstm_predictor **predictor);

/* The bits of lstm_predict for all samples of x. After the first call of a size (samples and timesteps) nothing is
 * allocated in further ones. (y, capacity, count) as above. */
LSTM_CHECK int lstm_predictor_run(lstm_predictor *predictor, const lstm_array *x, float *y, size_t capacity,
                                  size_t *count);
LSTM_CHECK int lstm_predictor_run_many(lstm_predictor *predictor, const lstm_data *data, float *y, size_t capacity,
                                       size_t *count);

/* Frees a predictor and ends its workers; NULL and handles that are no predictors are ignored. */
void lstm_predictor_free(lstm_predictor *predictor);

/* What a layer makes of x, or what is inside of it then; as for lstm_predict nothing is dropped. `layer` is its name, as
 * lstm_summary shows it. `what`, with the shape of one sample (T timesteps of the layer's input, U units):
 *   "output"  of any layer but text: what lstm_predict would give if the model ended there
 *   "hidden"  [T, U, or projection] the states after each timestep, of every recurrent layer but mlstm
 *   "memory"  [T, U] the same of an lstm's c
 *   "gates"   [T, gates, U] activated: of an lstm i f g o (coupled: f = 1 - i), of a gru z r n, of min_gru z n, of min_lstm
 *             i f n
 *   "attention", "cross_attention"
 *             [heads, T, S] the weights with which each timestep (query) reads the S timesteps (keys) of the layer's last
 *             input: of every attention and Transformer layer; the second of transformer_decoder alone
 * A bidirectional layer has "forward_hidden" and so on, and "backward_hidden". But for outputs, what stands at padding is
 * zero; what a layer that goes backwards makes at a timestep stands at that timestep. Writes the *rank extents of the whole
 * to `shape` (LSTM_MAX_RANK entries), [B, ...]; either may be NULL. (values, capacity, count) as above; with capacity 0 the
 * shape is told. LSTM_ERR_UNSUPPORTED: the layer does not have that, and what it has. */
LSTM_CHECK int lstm_inspect(const lstm_model *model, const lstm_array *x, const char *layer, const char *what,
                            int64_t *shape, uint32_t *rank, float *values, size_t capacity, size_t *count);
LSTM_CHECK int lstm_inspect_many(const lstm_model *model, const lstm_data *data, const char *layer, const char *what,
                                 int64_t *shape, uint32_t *rank, float *values, size_t capacity, size_t *count);

/* How one number of each sample's output, `output` counted from 0 in row-major order, depends on what the model reads: in the
 * shape of x on its numbers, or, where x is tokens or text, [B, T, U] on the vectors that the model's embedding makes of them.
 * With `steps` 0 the gradient; else integrated gradients (Sundararajan, Taly & Yan 2017), x times the mean of the gradients
 * at so many points (at most 10000) of the straight line from zeros to x, whose sum is about the output for x minus that for zeros.
 * Padding has zeros. The model is copied for the time of the call. shape, rank and (values, capacity, count) as of
 * lstm_inspect. LSTM_ERR_UNSUPPORTED: a compressed model, one that ends in a crf or has several inputs or outputs, or
 * several embeddings. */
LSTM_CHECK int lstm_saliency(const lstm_model *model, const lstm_array *x, size_t output, uint32_t steps,
                             int64_t *shape, uint32_t *rank, float *values, size_t capacity, size_t *count);

/* How labels are found in outputs for each timestep. */
typedef struct lstm_decoding {
  uint32_t struct_size;
  uint32_t beam_width;    /* [0: greedy, the most probable path] prefixes that a beam search keeps at each step */
  uint32_t best;          /* [1] answers for each row, the best first; greedy gives 1, a beam search up to beam_width */
  uint32_t blank;         /* [0] the class that is no label */
  uint32_t probabilities; /* [0] 1: outputs are probabilities, of which logits are 0. Of lstm_decode a softmax at the
                             end of the model says so by itself */
  uint32_t reserved;
} lstm_decoding;

/* Fills `decoding` with the defaults. */
int lstm_decoding_init(lstm_decoding *decoding, size_t struct_size);

/* The labels in outputs [batch, timesteps, classes] of connectionist temporal classification (loss ctc): repeats taken
 * together, then blanks left out. `outputs` may have lengths or a mask. Writes labels [batch, best, timesteps], of which
 * -1 stands behind the last, and their natural log-probabilities [batch, best] (NULL and 0: not wanted): greedy that of
 * the one path, else that of all paths the search has kept, which is exact when it has kept all. An answer that there is
 * not is all -1, with minus infinity. (labels, capacity, count) as above; decoding may be NULL. Any thread. */
LSTM_CHECK int lstm_ctc_decode(const lstm_array *outputs, const lstm_decoding *decoding, int64_t *labels,
                               size_t capacity, size_t *count, double *log_probabilities, size_t log_capacity);

/* The same of the outputs that the model has for x, whose padding it knows. Of a model that ends in a crf, for which
 * beam_width, blank and probabilities stay 0, the `best` most probable tag sequences, each tag at its timestep and -1 over
 * padding. */
LSTM_CHECK int lstm_decode(const lstm_model *model, const lstm_array *x, const lstm_decoding *decoding, int64_t *labels,
                           size_t capacity, size_t *count, double *log_probabilities, size_t log_capacity);

/* ------------------------------------------------------------------------------------------------------------------
 * 8. Streaming
 * --------------------------------------------------------------------------------------------------------------- */

/* One sequence that arrives step by step, with the state of the layers in between. Step t gives what lstm_predict would
 * give for the sequence up to t: bit for bit the same outputs. A step allocates nothing, takes no lock and makes no
 * system call. A stream belongs to one thread at a time; many streams may share one model. It sees the model's weights
 * as they are at each step; do not train the model while another thread steps. */
typedef struct lstm_stream lstm_stream;

/* Makes a stream with zero state. LSTM_ERR_UNSUPPORTED: a layer needs the whole sequence first (go_backwards,
 * bidirectional, crf, an attention that is not causal or has no window, a conv1d or pooling that is not causal or strides,
 * what leaves out, adds or joins timesteps), the model has several inputs or outputs, or states go from layer to layer. The
 * stream of a model with a `text` layer takes tokens, one a step. */
LSTM_CHECK int lstm_stream_create(const lstm_model *model, lstm_stream **stream);

/* The numbers in and out of one step. A model that reads tokens takes one, the token's index as a number. */
LSTM_CHECK int lstm_stream_sizes(const lstm_stream *stream, size_t *inputs, size_t *outputs);

/* One timestep: x_count numbers in, y_count numbers out, exactly lstm_stream_sizes. x and y may be the same memory. */
LSTM_CHECK int lstm_stream_step(lstm_stream *stream, const float *x, size_t x_count, float *y, size_t y_count);

/* `steps` timesteps at once: x [steps, inputs], y [steps, outputs]; x_count and y_count are the numbers in them.
 * After an error (a token past the vocabulary) no step was made. x and y must not overlap. */
LSTM_CHECK int lstm_stream_process(lstm_stream *stream, size_t steps, const float *x, size_t x_count, float *y,
                                   size_t y_count);

/* The next `steps` timesteps of a model that reads as many numbers as it gives, whose every output becomes the next input:
 * y [steps, outputs] behind what the stream has read and then x, one timestep. So of a series that is known up to now read
 * all but its last timestep by lstm_stream_process, and forecast from that. LSTM_ERR_UNSUPPORTED: another model. */
LSTM_CHECK int lstm_stream_forecast(lstm_stream *stream, size_t steps, const float *x, size_t x_count, float *y,
                                    size_t y_count);

/* One timestep of each of `count` different streams of one model, together, to the same bits as one by one: row i of
 * x [count, inputs] is the sample of streams[i], row i of y [count, outputs] its answer; x_count and y_count are the
 * numbers in them. `threads` as in lstm_options. The first of the streams keeps working memory and workers for its next
 * such call; the workers wait as those of a trainer. After an error (a stream twice, of another model, a token past the
 * vocabulary) no stream made a step. x and y must not overlap. */
LSTM_CHECK int lstm_streams_step(lstm_stream *const *streams, size_t count, const float *x, size_t x_count, float *y,
                                 size_t y_count, uint32_t threads);

/* From now on the stream keeps its last `steps` samples, so that a trainer can learn from them (section 9); 0: none, as at
 * the beginning. Their memory is allocated here, none in a step. What lstm_stream_forecast reads is not kept. */
LSTM_CHECK int lstm_stream_keep(lstm_stream *stream, size_t steps);

/* The threads of the steps from now on, as `threads` of lstm_options; 1 is the default. The stream keeps its workers:
 * after a step they wait for the next one, up to 1 ms of that awake, which keeps their processors busy; from then on
 * the next step wakes them by a system call. They end with the stream. Two pay where a step takes some microseconds. */
LSTM_CHECK int lstm_stream_set_threads(lstm_stream *stream, uint32_t threads);

/* Back to zero state. Samples that were kept are forgotten: another sequence begins. */
LSTM_CHECK int lstm_stream_reset(lstm_stream *stream);

/* The whole state as numbers, to be kept and restored, also in a stream of another process with the same model.
 * (state, capacity, count) as above. */
LSTM_CHECK int lstm_stream_get_state(const lstm_stream *stream, float *state, size_t capacity, size_t *count);
LSTM_CHECK int lstm_stream_set_state(lstm_stream *stream, const float *state, size_t count);

/* Frees a stream and ends its workers; NULL and handles that are no streams are ignored. */
void lstm_stream_free(lstm_stream *stream);

/* ------------------------------------------------------------------------------------------------------------------
 * 9. Online learning
 * --------------------------------------------------------------------------------------------------------------- */

/* Training beside predictions: other threads go on with a model while a clone of it is trained, and publishing gives it the
 * clone's weights, all at once.
 *
 *     lstm_clone(model, &learner), lstm_trainer_create(learner, &trainer), lstm_set_publishing(model, 1)
 *     every thread that predicts:  lstm_predict(model, ...), streams, predictors, as ever
 *     the thread that trains:      lstm_trainer_step(trainer, ...) or lstm_trainer_learn, then lstm_publish(model, learner)
 *
 * Each call that reads a model (a prediction, a step or block of a stream, a step of streams together, a generation, a saving,
 * a parameter) sees one version of all its weights, that of the last lstm_publish before it began. It takes no lock and
 * waits for nobody, nor does a publishing wait for it. Optimizer state stays with the clone: save that to resume training.
 * docs/online-learning.md has more. */

/* Whether weights may be published to the model: 1 allocates the memory of a second version, 0 frees it. While it is 1, each
 * call that reads pays some nanoseconds. The model must be nobody else's during this call; lstm_publish in between may come
 * at any time. LSTM_ERR_ARG: it is being trained. */
LSTM_CHECK int lstm_set_publishing(lstm_model *model, uint32_t on);

/* Makes the weights of `from` those of `model`, which other threads may read meanwhile; but one thread at a time publishes,
 * and nobody may change `from`. `from` is a clone, or any model of the same layers, as one that was just loaded; weights of
 * another format are rounded to that of `model`. Text needs the same vocabulary. State of streams stays. Where calls still
 * read the version before the last, memory for another one is allocated, which lstm_set_publishing with 0 frees. After an
 * error nothing has changed. LSTM_ERR_ARG: no lstm_set_publishing, parameters of other names or shapes, or the model is being
 * trained itself. LSTM_ERR_DIVERGED: a weight of `from` is not finite. */
LSTM_CHECK int lstm_publish(lstm_model *model, const lstm_model *from);

/* One step of training on the samples that a stream has kept (lstm_stream_keep), n of them: to the last bit lstm_trainer_step
 * on x [1, n, ...], a sequence that begins in zero state, with the targets y; for a model that reads no sequences x [n, ...].
 * y NULL: what comes next, for models that forecast. Then the last sample is only a target: the output at each timestep is to
 * be the next sample (of tokens with a loss of classes, the next token), or the one output of a sequence the last sample.
 * The stream is of the trainer's model or one of the same parameters, as that whose clone is trained, and belongs to this
 * thread during the call. LSTM_ERR_ARG: too few samples, or targets of another shape. LSTM_ERR_UNSUPPORTED: a model of several
 * inputs or outputs, or one that reads text. */
LSTM_CHECK int lstm_trainer_learn(lstm_trainer *trainer, const lstm_stream *stream, const lstm_array *y, double *loss);

/* ------------------------------------------------------------------------------------------------------------------
 * 10. Generation
 * --------------------------------------------------------------------------------------------------------------- */

/* Sequences of tokens from a language model: one that reads tokens and gives at each timestep a number for each of them,
 * logits or, with softmax at its end, probabilities (embedding, lstm, dense with as many units as the vocabulary). It must
 * be able to stream (causal attention needs no window here), and is trained on what comes next: y is x one step later. See
 * docs/generation.md.
 *
 * Tokens and text of a model with a `text` layer, whose length, pad and truncate mean nothing here: */

/* The tokens of a text, by the text layer of the model's last input. (tokens, capacity, count) as above.
 * LSTM_ERR_UNSUPPORTED: the model has no text layer. */
LSTM_CHECK int lstm_tokenize(const lstm_model *model, const char *text, int32_t *tokens, size_t capacity,
                             size_t *count);

/* The text of `token_count` tokens: characters one after the other; words with spaces between them, but for signs that are
 * written without. Of one token it is that token's own. Token 0, padding, has no text, and token 1, an unknown word, is
 * U+FFFD. (buffer, capacity, count) as above. */
LSTM_CHECK int lstm_detokenize(const lstm_model *model, const int32_t *tokens, size_t token_count, char *buffer,
                               size_t capacity, size_t *count);

/* Hears of each token when it is there: `index` is its place in its sequence, from 0, `log_probability` the natural
 * logarithm of what the model gives it. Return 0 to go on; anything else stops lstm_generate. Must not leave by longjmp or
 * an exception. */
typedef int (*lstm_token_callback)(size_t sequence, size_t index, int32_t token, double log_probability, void *user);

/* How to generate (defaults in brackets). A token is chosen by the model's logits, to which is done, in this order: those
 * of tokens that came before, in the prompt or since, are divided by repetition_penalty if above 0, else multiplied with
 * it (Keskar et al. 2019); tokens that may not come are left out; all are divided by temperature; the top_k largest are
 * kept; of these the fewest most probable ones whose share is at least top_p (Holtzman et al. 2020). Of what is left one
 * is drawn by its probability; of equals the lower token counts as the larger.
 *
 * With beams there is a beam search for the most probable sequences, and nothing is drawn: temperature, top_k, top_p and
 * repetition_penalty must have their defaults, `token` be NULL. Sequences are compared by their log-probability divided by
 * ((5 + length) / 6)^length_penalty (Wu et al. 2016), the token that ends one included. */
typedef struct lstm_generate_options {
  uint32_t struct_size;
  uint32_t sequences;        /* [1] 1 to 4096: drawn each for itself, or the best of the beams */
  size_t max_length;         /* [100] tokens of each, the prompt not counted, unless it ends before */
  size_t min_length;         /* [0] tokens that come before an end token may */
  const int32_t *end_tokens; /* [NULL] end_count tokens of which each ends a sequence, as its last token */
  size_t end_count;          /* [0] */
  const int32_t *suppressed; /* [NULL] suppressed_count tokens that never come */
  size_t suppressed_count;   /* [0] */
  double temperature;        /* [1] 0: always the most probable token; else from 1e-6 to 1e6 */
  uint32_t top_k;            /* [0: all] */
  uint32_t beams;            /* [1: no search] to 4096 */
  double top_p;              /* [1] above 0 */
  double repetition_penalty; /* [1] 1e-6 to 1e6 */
  double length_penalty;     /* [0] to 100; with beams only */
  uint64_t seed;             /* [0] of what is drawn. The same seed, options and prompt give the same tokens */
  uint32_t threads;          /* [1] as `threads` of lstm_options */
  uint32_t reserved;
  lstm_token_callback token; /* [NULL] */
  void *token_user;
} lstm_generate_options;

/* Fills `options` with the defaults. */
int lstm_generate_options_init(lstm_generate_options *options, size_t struct_size);

/* Generates what follows a prompt: tokens [T] of any numeric type, or one string [1] where the model has a text layer. At
 * least one token. options may be NULL.
 *   tokens             (tokens, capacity, count) as above: sequences rows of max_length tokens, -1 behind the last of each
 *   log_probabilities  NULL, or room for one number of each sequence: the natural logarithm of what the model gives it, at
 *                      temperature 1 and with nothing left out
 * The best sequences of a beam search come first; should there be fewer, the other rows hold -1, their log-probability is
 * -infinity. Token 0 where it is padding (mask_zero, a text layer) never comes unless it is an end token, nor do tokens
 * that a text layer does not have. Once the first tokens are there, nothing is allocated for further ones.
 * LSTM_STOPPED: the callback asked for it; all tokens that it heard of are there. LSTM_ERR_UNSUPPORTED: a model that reads
 * numbers, cannot stream, or whose output is none over its tokens. LSTM_ERR_TYPE: text without a text layer.
 * LSTM_ERR_ARG: a token past the vocabulary, an empty prompt, an option out of range, outputs that are not finite. */
LSTM_CHECK int lstm_generate(const lstm_model *model, const lstm_array *prompt, const lstm_generate_options *options,
                             int32_t *tokens, size_t capacity, size_t *count, double *log_probabilities);

/* The same of an encoder and decoder: a model of two inputs, a source and behind it, in 'inputs', the tokens of the target so
 * far, from which its output says what comes next in the target. `source` is one sample as lstm_predict takes it, [1, ...],
 * of at most 2^23 timesteps; `prompt` what the target begins with: at least one token, of those that stood before the targets
 * in training. What does not depend on the target is computed once; the rest goes step by step. LSTM_ERR_UNSUPPORTED: a
 * layer behind the target that cannot, by its name. */
LSTM_CHECK int lstm_generate_from(const lstm_model *model, const lstm_array *source, const lstm_array *prompt,
                                  const lstm_generate_options *options, int32_t *tokens, size_t capacity, size_t *count,
                                  double *log_probabilities);

/* lstm_generate of one sequence for those who ask for each token themselves. A generator belongs to one thread at a time;
 * many may share one model, whose weights it sees as they are at each token. */
typedef struct lstm_generator lstm_generator;

/* Makes a generator, which reads the prompt. Of the options sequences and beams must be 1, `token` NULL; all are copied. */
LSTM_CHECK int lstm_generator_create(const lstm_model *model, const lstm_array *prompt,
                                     const lstm_generate_options *options, lstm_generator **generator);

/* The same for lstm_generate_from. */
LSTM_CHECK int lstm_generator_create_from(const lstm_model *model, const lstm_array *source, const lstm_array *prompt,
                                          const lstm_generate_options *options, lstm_generator **generator);

/* The next token, the same as lstm_generate's, or -1 after the last; its log-probability (may be NULL), which is untouched
 * then. Allocates nothing. */
LSTM_CHECK int lstm_generator_next(lstm_generator *generator, int32_t *token, double *log_probability);

/* Frees a generator; NULL and handles that are no generators are ignored. */
void lstm_generator_free(lstm_generator *generator);

/* ------------------------------------------------------------------------------------------------------------------
 * 11. Files
 * --------------------------------------------------------------------------------------------------------------- */

/* A saved model is a safetensors file: weights under the names of section 5, the description, training state and a
 * checksum in its metadata. Any safetensors reader opens it (docs/file-format.md). */

#define LSTM_SAVE_WEIGHTS_ONLY 1 /* leave out the optimizer's state: smaller, but training starts afresh */

/* Saves to a file: written beside it under a temporary name, flushed to disk and renamed, so that at any moment the path
 * holds the old file or the new one, whole. `flags` is 0 or LSTM_SAVE_WEIGHTS_ONLY. LSTM_ERR_IO: path and reason. */
LSTM_CHECK int lstm_save(const lstm_model *model, const char *path, uint32_t flags);

/* The same bytes into memory. (buffer, capacity, count) as above. */
LSTM_CHECK int lstm_save_buffer(const lstm_model *model, uint32_t flags, void *buffer, size_t capacity, size_t *count);

/* Opens a saved model. Every length, name and number in it is checked, then the checksum of the whole: LSTM_ERR_FORMAT
 * if it is no model, damaged or cut short, LSTM_ERR_VERSION if a newer library wrote it. `allocator` may be NULL. */
LSTM_CHECK int lstm_load(const char *path, const lstm_allocator *allocator, lstm_model **model);

/* The same from memory. The bytes are copied. */
LSTM_CHECK int lstm_load_buffer(const void *data, size_t size, const lstm_allocator *allocator, lstm_model **model);

#ifdef __cplusplus
}
#endif

#endif

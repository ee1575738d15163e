/* Two small models with their data, for the C programs of these tests: "numbers" (streamable) and "text", which hold
 * every kind of layer between them. Include it after <lstm_dl.h>, which makes the calls go through dlopen. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAIL(...) (printf(__VA_ARGS__), printf("\n%s\n", lstm_last_error()), fflush(stdout), exit(1))
#define CHECK(condition) ((condition) ? (void)0 : (void)FAIL("%s:%d: not so: %s", __FILE__, __LINE__, #condition))
#define OK(call) CHECK((call) == LSTM_OK)

static const char numbers_description[] =
    "{'input_shape': [null, 3], 'seed': 7, 'layers': [{'type': 'normalize'},"
    " {'type': 'lstm', 'units': 5, 'return_sequences': true, 'dropout': 0.1}, {'type': 'dropout', 'rate': 0.2},"
    " {'type': 'dense', 'units': 4, 'activation': 'gelu'}, {'type': 'lstm', 'units': 4, 'name': 'top'},"
    " {'type': 'dense', 'name': 'last', 'units': 2}],"
    " 'training': {'loss': 'mse', 'metrics': ['mae'],"
    " 'optimizer': {'type': 'adam', 'learning_rate': 0.01, 'global_clipnorm': 1}}}";

static const char text_description[] =
    "{'seed': 8, 'layers': [{'type': 'text', 'length': 6, 'max_tokens': 40},"
    " {'type': 'embedding', 'vocabulary': 40, 'units': 4, 'mask_zero': true},"
    " {'type': 'lstm', 'units': 5, 'go_backwards': true}, {'type': 'dropout', 'rate': 0.2},"
    " {'type': 'dense', 'units': 3}, {'type': 'activation', 'activation': 'softmax'}],"
    " 'training': {'loss': 'sparse_categorical_crossentropy', 'metrics': ['accuracy'],"
    " 'optimizer': {'type': 'rmsprop', 'momentum': 0.5}}}";

/* A class for each timestep. */
static const char classes_description[] =
    "{'input_shape': [null, 3], 'layers': [{'type': 'lstm', 'units': 4, 'return_sequences': true},"
    " {'type': 'dense', 'units': 3, 'activation': 'softmax'}],"
    " 'training': {'loss': {'type': 'sparse_categorical_crossentropy', 'label_smoothing': 0.1}, 'metrics': ['f1_macro',"
    " 'perplexity', {'type': 'top_k_accuracy', 'k': 2}, 'token_error_rate', {'type': 'bleu', 'end_token': 2}]}}";

/* Goes on with tokens, of which two are in no text. */
static const char language_description[] =
    "{'seed': 9, 'layers': [{'type': 'text', 'level': 'character', 'vocabulary': ['a', 'b', 'c', ' ', '.']},"
    " {'type': 'embedding', 'vocabulary': 9, 'units': 4}, {'type': 'gru', 'units': 5, 'return_sequences': true},"
    " {'type': 'dense', 'units': 9, 'activation': 'softmax'}]}";

/* Reads as many numbers as it gives. */
static const char forecast_description[] =
    "{'input_shape': [null, 2], 'layers': [{'type': 'lstm', 'units': 3, 'return_sequences': true},"
    " {'type': 'dense', 'units': 2}]}";

enum { ROWS = 8, STEPS = 6, FEATURES = 3, OUTPUTS = 2, CLASSES = 3 };

static float numbers_x[ROWS * STEPS * FEATURES], numbers_y[ROWS * OUTPUTS];
static int64_t numbers_lengths[ROWS] = {6, 3, 0, 1, 6, 5, 4, 2};
static double numbers_weights[ROWS] = {1, 2, 0.5, 1, 1, 1, 0, 3};
/* An encoder and decoder, whose decoder begins with a state of the encoder and reads what it has made. */
static const char writer_description[] =
    "{'seed': 9, 'inputs': [{'name': 'source'}, {'name': 'target'}], 'layers': ["
    " {'type': 'embedding', 'vocabulary': 9, 'units': 4, 'inputs': 'source', 'name': 'read'},"
    " {'type': 'gru', 'units': 5, 'return_sequences': true, 'name': 'keys'},"
    " {'type': 'embedding', 'vocabulary': 9, 'units': 4, 'inputs': 'target', 'name': 'written'},"
    " {'type': 'gru', 'units': 5, 'return_sequences': true, 'inputs': ['written', 'keys.hidden'], 'name': 'queries'},"
    " {'type': 'transformer_decoder', 'units': 6, 'num_heads': 1, 'inputs': ['queries', 'keys']},"
    " {'type': 'dense', 'units': 9, 'activation': 'softmax'}]}";

static int32_t prompt_tokens[3] = {2, 4, 3};
static int32_t classes_y[ROWS * STEPS];
static float steps_weights[ROWS * STEPS];
static int32_t text_y[ROWS] = {0, 1, 2, 0, 1, 2, 0, 1};
static const char *const text_x[ROWS] = {
    "A good film, good enough.", "Bad!", "", "It's so-so", "sch\xc3\xb6n, sehr gut", "bad, BAD film", "a b c d e f g h",
    "\xe6\x98\xa0\xe7\x94\xbb"};

static lstm_array array_of(uint32_t type, const void *data, uint32_t rank, int64_t a, int64_t b, int64_t c) {
  const int64_t shape[3] = {a, b, c};
  lstm_array array;
  OK(lstm_array_init(&array, sizeof array, type, data, rank, shape));
  return array;
}

/* The arrays of both models, whose lifetime is that of the program. */
static struct {
  lstm_array x, y, weights, text, labels, classes, step_weights, tokens, prompt, source;
  lstm_data single, pair, nothing; /* of "numbers", of "pair", and none */
} data;

/* Two inputs, with timesteps of their own, and two outputs. */
static const char pair_description[] =
    "{'inputs': [{'name': 'numbers', 'shape': [null, 3]}, {'name': 'words'}], 'outputs': ['last', 'kind'], 'layers': ["
    " {'type': 'lstm', 'units': 5, 'inputs': 'numbers', 'return_sequences': true, 'name': 'trunk'},"
    " {'type': 'embedding', 'vocabulary': 9, 'units': 4, 'mask_zero': true, 'inputs': 'words'}, {'type': 'gru', "
    "'units': 6},"
    " {'type': 'lstm', 'units': 6, 'inputs': 'trunk'}, {'type': 'add', 'inputs': ['gru', 'lstm']},"
    " {'type': 'dense', 'units': 2, 'name': 'last'},"
    " {'type': 'dense', 'units': 3, 'activation': 'softmax', 'inputs': 'trunk', 'name': 'kind'}],"
    " 'training': {'loss': {'last': 'mse', 'kind': 'sparse_categorical_crossentropy'}, 'loss_weights': [1, 0.5],"
    " 'metrics': {'kind': ['accuracy'], 'last': 'mae'}}}";

static int32_t pair_tokens[ROWS * 4];

static void make_data_of_several(void) {
  static const lstm_array *xs[2] = {&data.x, &data.tokens}, *ys[2] = {&data.y, &data.classes};
  static const lstm_array *weights[2] = {&data.weights, NULL};
  for (int i = 0; i < ROWS * 4; i++) pair_tokens[i] = (i * 5) % 9;
  data.tokens = array_of(LSTM_INT32, pair_tokens, 2, ROWS, 4, 0);
  OK(lstm_data_init(&data.single, sizeof data.single));
  data.pair = data.nothing = data.single;
  data.single.inputs = data.single.outputs = 1, data.pair.inputs = data.pair.outputs = 2;
  data.single.x = data.pair.x = xs, data.single.y = data.pair.y = ys;
  data.single.weights = data.pair.weights = weights;
}

static void make_data(void) {
  for (int i = 0; i < ROWS * STEPS * FEATURES; i++) numbers_x[i] = (float)((i * 37) % 23) / 11.0f - 1.0f;
  for (int i = 0; i < ROWS * OUTPUTS; i++) numbers_y[i] = (float)((i * 5) % 7) / 7.0f;
  data.x = array_of(LSTM_FLOAT32, numbers_x, 3, ROWS, STEPS, FEATURES);
  data.x.lengths = numbers_lengths;
  data.y = array_of(LSTM_FLOAT32, numbers_y, 2, ROWS, OUTPUTS, 0);
  data.weights = array_of(LSTM_FLOAT64, numbers_weights, 1, ROWS, 0, 0);
  for (int i = 0; i < ROWS * STEPS; i++) classes_y[i] = i * 5 % 7 % CLASSES, steps_weights[i] = (float)(i % 4);
  data.classes = array_of(LSTM_INT32, classes_y, 2, ROWS, STEPS, 0);
  data.step_weights = array_of(LSTM_FLOAT32, steps_weights, 2, ROWS, STEPS, 0);
  data.text = array_of(LSTM_STRING, text_x, 1, ROWS, 0, 0);
  data.prompt = array_of(LSTM_INT32, prompt_tokens, 1, 3, 0, 0);
  data.source = array_of(LSTM_INT32, prompt_tokens, 2, 1, 3, 0);
  data.labels = array_of(LSTM_INT32, text_y, 1, ROWS, 0, 0);
  make_data_of_several();
}

static lstm_options options_with(uint32_t epochs, uint32_t batch_size) {
  lstm_options options;
  OK(lstm_options_init(&options, sizeof options));
  options.epochs = epochs;
  options.batch_size = batch_size;
  return options;
}

static lstm_generate_options generate_options(uint32_t sequences, size_t max_length) {
  lstm_generate_options options;
  OK(lstm_generate_options_init(&options, sizeof options));
  options.sequences = sequences;
  options.max_length = max_length;
  return options;
}

static void train_numbers(lstm_model *model, uint32_t epochs) {
  const lstm_options options = options_with(epochs, 3);
  OK(lstm_train(model, &data.x, &data.y, &options, NULL));
}

static void train_text(lstm_model *model, uint32_t epochs) {
  const lstm_options options = options_with(epochs, 3);
  OK(lstm_train(model, &data.text, &data.labels, &options, NULL));
}

/* Both are adapted and trained, so that vocabulary and optimizer state are there. */
static lstm_model *make_numbers(const lstm_allocator *allocator) {
  lstm_model *model;
  OK(lstm_create(numbers_description, allocator, &model));
  OK(lstm_adapt(model, &data.x));
  train_numbers(model, 1);
  return model;
}

static lstm_model *make_text(const lstm_allocator *allocator) {
  lstm_model *model;
  OK(lstm_create(text_description, allocator, &model));
  OK(lstm_adapt(model, &data.text));
  train_text(model, 1);
  return model;
}

static lstm_model *make_classes(const lstm_allocator *allocator) {
  lstm_model *model;
  OK(lstm_create(classes_description, allocator, &model));
  return model;
}

static lstm_model *make_pair(const lstm_allocator *allocator) {
  lstm_model *model;
  OK(lstm_create(pair_description, allocator, &model));
  return model;
}

static lstm_model *make_language(const lstm_allocator *allocator) {
  lstm_model *model;
  OK(lstm_create(language_description, allocator, &model));
  return model;
}

static lstm_model *make_writer(const lstm_allocator *allocator) {
  lstm_model *model;
  OK(lstm_create(writer_description, allocator, &model));
  return model;
}

static lstm_model *make_forecaster(const lstm_allocator *allocator) {
  lstm_model *model;
  OK(lstm_create(forecast_description, allocator, &model));
  return model;
}

typedef struct {
  unsigned char *bytes;
  size_t count;
} blob;

/* All that a model is, in bytes: two models with equal blobs cannot be told apart. Free the bytes. */
static blob save_blob(const lstm_model *model) {
  blob saved = {NULL, 0};
  OK(lstm_save_buffer(model, 0, NULL, 0, &saved.count));
  saved.bytes = malloc(saved.count);
  CHECK(saved.bytes != NULL);
  OK(lstm_save_buffer(model, 0, saved.bytes, saved.count, NULL));
  return saved;
}

/* A whole file, of at most 256 MB. Free the bytes. */
static blob read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  blob content = {malloc(1 << 28), 0};
  CHECK(file && content.bytes);
  content.count = fread(content.bytes, 1, 1 << 28, file);
  fclose(file);
  return content;
}

static int equal_blobs(blob a, blob b) { return a.count == b.count && memcmp(a.bytes, b.bytes, a.count) == 0; }

/* A small generator, so that every run of a test is the same. */
static uint64_t random_state = 88172645463325252u;
static uint64_t random_number(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  return random_state ^= random_state << 17;
}

#endif

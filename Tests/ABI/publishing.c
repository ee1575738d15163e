/* Threads read two models in every way while other weights are published to these again and again. Each answer must be, bit
 * for bit, that of one of the versions, and never that of one before a version which the thread has seen already. Then
 * learning from a stream is held against a trainer's steps on the same samples. As it is, and for the sanitizers.
 * Usage: publishing LIBRARY VERSIONS. */
#include <lstm_dl.h>

#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

enum { READERS = 4, MAX_VERSIONS = 256, TOKENS_MADE = 12, VOCABULARY = 9, WAYS = 11, ROOM = ROWS * STEPS * VOCABULARY };

/* What every way of reading gives, the same for as long as the weights are. */
typedef struct {
  float numbers[WAYS][ROOM];
} answers;

typedef struct {
  lstm_predictor *predictor, *tokens;
  lstm_stream *streams[2];
  lstm_stream *parallel;
} reader;

static lstm_model *numbers, *language;
static answers expected[MAX_VERSIONS];
static int versions;
static atomic_int published, running;
static lstm_array letters_x;
static const char *const letters_rows[ROWS] = {"ab. c", "b", "cc ab.", "a.", "  ", "abc", ". b", "ccccc"};
static long live_blocks;

static void *count_allocate(size_t size, size_t alignment, void *user) {
  (void)user, __atomic_add_fetch(&live_blocks, 1, __ATOMIC_RELAXED);
  return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
static void count_deallocate(void *memory, size_t size, void *user) {
  (void)size, (void)user, __atomic_sub_fetch(&live_blocks, 1, __ATOMIC_RELAXED), free(memory);
}
static const lstm_allocator counted = {sizeof counted, 0, count_allocate, count_deallocate, NULL};

static reader make_reader(void) {
  reader r;
  OK(lstm_predictor_create(numbers, 2, &r.predictor));
  OK(lstm_predictor_create(language, 1, &r.tokens));
  for (int i = 0; i < 2; i++) OK(lstm_stream_create(numbers, &r.streams[i]));
  OK(lstm_stream_create(numbers, &r.parallel));
  OK(lstm_stream_set_threads(r.parallel, 2));
  return r;
}

static void free_reader(reader r) {
  lstm_predictor_free(r.predictor), lstm_predictor_free(r.tokens);
  lstm_stream_free(r.streams[0]), lstm_stream_free(r.streams[1]), lstm_stream_free(r.parallel);
}

static void stream_block(lstm_stream *stream, float *y) {
  OK(lstm_stream_reset(stream));
  OK(lstm_stream_process(stream, STEPS, numbers_x, STEPS * FEATURES, y, STEPS * OUTPUTS));
}

static void generate(uint32_t beams, float *y) {
  lstm_generate_options options = generate_options(2, TOKENS_MADE);
  int32_t tokens[2 * TOKENS_MADE];
  double logarithms[2];
  options.beams = beams;
  OK(lstm_generate(language, &data.prompt, &options, tokens, 2 * TOKENS_MADE, NULL, logarithms));
  for (int i = 0; i < 2 * TOKENS_MADE; i++) y[i] = (float)tokens[i];
  for (int i = 0; i < 2; i++) y[2 * TOKENS_MADE + i] = (float)logarithms[i];
}

/* The weights alone, as the numbers that their bytes are. */
static void save_weights(float *y) {
  static _Thread_local unsigned char bytes[1 << 14];
  size_t count;
  OK(lstm_save_buffer(numbers, LSTM_SAVE_WEIGHTS_ONLY, bytes, sizeof bytes, &count));
  memcpy(y, bytes + count - ROOM * sizeof *y, ROOM * sizeof *y);
}

static void ask(int way, reader *r, float *y) {
  double values[LSTM_MAX_COLUMNS] = {0};
  lstm_history history;
  lstm_model *clone;
  float pair[2 * FEATURES];
  switch (way) {
  case 0:
    OK(lstm_predict(numbers, &data.x, NULL, y, ROOM, NULL));
    return;
  case 1:
    OK(lstm_predictor_run(r->predictor, &data.x, y, ROOM, NULL));
    return;
  case 2:
    stream_block(r->streams[0], y);
    return;
  case 3:
    stream_block(r->parallel, y);
    return;
  case 4:
    for (int i = 0; i < 2; i++)
      OK(lstm_stream_reset(r->streams[i])), memcpy(pair + i * FEATURES, numbers_x, sizeof pair / 2);
    OK(lstm_streams_step(r->streams, 2, pair, 2 * FEATURES, y, 2 * OUTPUTS, 2));
    return;
  case 5:
    OK(lstm_predictor_run(r->tokens, &letters_x, y, ROOM, NULL));
    return;
  case 6:
    generate(1, y);
    return;
  case 7:
    generate(3, y);
    return;
  case 8:
    save_weights(y);
    return;
  case 9:
    OK(lstm_history_init(&history, sizeof history, values, 1));
    OK(lstm_evaluate(numbers, &data.x, &data.y, NULL, &history));
    for (int i = 0; i < LSTM_MAX_COLUMNS; i++) y[i] = (float)values[i];
    return;
  default:
    OK(lstm_clone(numbers, &clone));
    OK(lstm_get_parameter(clone, "top.input_weights", y, ROOM, NULL));
    lstm_free(clone);
  }
}

/* Published versions are asked in turn, so that one that is the same as one before is found at its latest place. */
static int version_of(int way, const float *y) {
  for (int v = versions - 1; v >= 0; v--)
    if (memcmp(expected[v].numbers[way], y, sizeof expected[v].numbers[way]) == 0) return v;
  return -1;
}

static void *read_on(void *first) {
  int seen[WAYS] = {0};
  float *y = calloc(ROOM, sizeof *y);
  reader r = make_reader();
  CHECK(y != NULL);
  atomic_fetch_add(&running, 1);
  for (int i = (int)(intptr_t)first, last = 0; !last; i++) {
    const int way = i % WAYS, before = atomic_load(&published);
    last = before == versions - 1 && i % WAYS == 0;
    memset(y, 0, ROOM * sizeof *y);
    ask(way, &r, y);
    const int version = version_of(way, y);
    if (version < 0) FAIL("way %d gave what no version gives", way);
    if (version < before || version < seen[way]) FAIL("way %d: version %d after %d", way, version, before);
    seen[way] = version;
  }
  free_reader(r), free(y);
  return NULL;
}

/* The weights of version v: a step of training on, and for the language model numbers of its own. */
static void learn(lstm_trainer *trainer, lstm_model *letters, int v) {
  float weights[VOCABULARY * 4];
  if (v == 0) return;
  OK(lstm_trainer_step(trainer, &data.x, &data.y, &data.weights, NULL));
  for (int i = 0; i < VOCABULARY * 4; i++) weights[i] = (float)((i * 7 + v * 5) % 19) / 9.5f - 1 + 0.01f * (float)v;
  OK(lstm_set_parameter(letters, "embedding.weights", weights, VOCABULARY * 4));
}

/* What each version gives to one who reads alone, of a model that never was published to. */
static void expect(lstm_model *learner, lstm_model *letters) {
  lstm_trainer *trainer;
  OK(lstm_trainer_create(learner, &trainer));
  numbers = learner, language = letters;
  for (int v = 0; v < versions; v++) {
    learn(trainer, letters, v);
    reader r = make_reader();
    for (int way = 0; way < WAYS; way++) ask(way, &r, expected[v].numbers[way]);
    free_reader(r);
  }
  lstm_trainer_free(trainer);
}

static lstm_model *clone_of(const lstm_model *model) {
  lstm_model *clone;
  OK(lstm_clone(model, &clone));
  return clone;
}

static void publish_beside_readers(void) {
  pthread_t threads[READERS];
  lstm_trainer *trainer;
  lstm_model *first = make_numbers(&counted), *first_letters = make_language(&counted);
  lstm_model *learner = clone_of(first), *letters = clone_of(first_letters);
  expect(learner, letters);
  lstm_free(learner), lstm_free(letters);
  numbers = first, language = first_letters;
  learner = clone_of(numbers), letters = clone_of(language);
  OK(lstm_trainer_create(learner, &trainer));
  CHECK(lstm_publish(numbers, learner) == LSTM_ERR_ARG);
  OK(lstm_set_publishing(numbers, 1));
  OK(lstm_set_publishing(language, 1));
  for (int i = 0; i < READERS; i++) CHECK(pthread_create(&threads[i], NULL, read_on, (void *)(intptr_t)(3 * i)) == 0);
  while (atomic_load(&running) < READERS) sched_yield();
  for (int v = 0; v < versions; v++) {
    learn(trainer, letters, v);
    OK(lstm_publish(numbers, learner));
    OK(lstm_publish(language, letters));
    atomic_store(&published, v);
  }
  for (int i = 0; i < READERS; i++) pthread_join(threads[i], NULL);
  OK(lstm_set_publishing(numbers, 0));
  CHECK(lstm_publish(numbers, learner) == LSTM_ERR_ARG && strstr(lstm_last_error(), "lstm_set_publishing"));
  train_numbers(numbers, 1); /* as any other model, although its backward weights were those of no version */
  lstm_trainer_free(trainer);
  lstm_free(numbers), lstm_free(language), lstm_free(learner), lstm_free(letters);
  CHECK(live_blocks == 0);
}

/* Steps on from old weights to new ones and back, without and with publishing, give the same as a model that has them. */
static void train_after_publishing(void) {
  lstm_model *model = make_numbers(NULL), *learner = clone_of(model);
  train_numbers(learner, 2);
  OK(lstm_set_publishing(model, 1));
  OK(lstm_publish(model, learner));
  lstm_trainer *trainers[2];
  lstm_model *models[2] = {model, clone_of(model)};
  double losses[2][2];
  for (int i = 0; i < 2; i++) {
    OK(lstm_trainer_create(models[i], &trainers[i]));
    for (int k = 0; k < 2; k++) OK(lstm_trainer_step(trainers[i], &data.x, &data.y, NULL, &losses[i][k]));
    if (i == 0) CHECK(lstm_publish(model, learner) == LSTM_ERR_ARG && strstr(lstm_last_error(), "trained"));
    lstm_trainer_free(trainers[i]);
  }
  CHECK(memcmp(losses[0], losses[1], sizeof losses[0]) == 0);
  lstm_free(models[0]), lstm_free(models[1]), lstm_free(learner);
}

enum { KEPT = 5, READ = 13 };

/* A step of a clone from the stream, and of another one from the arrays that it stands for. */
static void compare_step(lstm_model *model, lstm_stream *stream, const lstm_array *given, const lstm_array *x,
                         const lstm_array *y) {
  lstm_model *models[2] = {clone_of(model), clone_of(model)};
  lstm_trainer *trainers[2];
  blob blobs[2];
  double losses[2];
  for (int i = 0; i < 2; i++) OK(lstm_trainer_create(models[i], &trainers[i]));
  OK(lstm_trainer_learn(trainers[0], stream, given, &losses[0]));
  OK(lstm_trainer_step(trainers[1], x, y, NULL, &losses[1]));
  CHECK(losses[0] == losses[1] && losses[0] > 0);
  for (int i = 0; i < 2; i++) lstm_trainer_free(trainers[i]), blobs[i] = save_blob(models[i]), lstm_free(models[i]);
  CHECK(equal_blobs(blobs[0], blobs[1]));
  free(blobs[0].bytes), free(blobs[1].bytes);
}

/* Reads samples by every kind of step, of which the last KEPT are those of the series from READ - KEPT on. */
static lstm_stream *read_series(lstm_model *model, const float *series, size_t inputs, size_t outputs) {
  lstm_stream *stream;
  float y[READ * 16], forecast[3 * 16];
  OK(lstm_stream_create(model, &stream));
  OK(lstm_stream_keep(stream, KEPT));
  OK(lstm_stream_step(stream, series + 3 * inputs, inputs, y, outputs));
  OK(lstm_stream_reset(stream));
  OK(lstm_stream_process(stream, READ - 2, series, (READ - 2) * inputs, y, (READ - 2) * outputs));
  OK(lstm_streams_step(&stream, 1, series + (READ - 2) * inputs, inputs, y, outputs, 1));
  if (inputs == outputs) OK(lstm_stream_forecast(stream, 3, series, inputs, forecast, 3 * outputs));
  OK(lstm_stream_step(stream, series + (READ - 1) * inputs, inputs, y, outputs));
  return stream;
}

static void compare_learning(const char *description, size_t inputs, size_t outputs, int reads_tokens, int gives_last) {
  float series[READ * 16];
  lstm_model *model;
  OK(lstm_create(description, NULL, &model));
  for (size_t i = 0; i < READ * inputs; i++) series[i] = reads_tokens ? (float)(i * 5 % 7) : (float)(i * i % 11) / 11;
  lstm_stream *stream = read_series(model, series, inputs, outputs);
  const float *kept = series + (READ - KEPT) * inputs, *next = kept + (gives_last ? KEPT - 1 : 1) * inputs;
  const lstm_array x = array_of(LSTM_FLOAT32, kept, reads_tokens ? 2 : 3, 1, KEPT - 1, (int64_t)inputs);
  const lstm_array y = gives_last ? array_of(LSTM_FLOAT32, next, 2, 1, (int64_t)inputs, 0)
                                  : array_of(LSTM_FLOAT32, next, reads_tokens ? 2 : 3, 1, KEPT - 1, (int64_t)inputs);
  compare_step(model, stream, NULL, &x, &y);
  const lstm_array whole = array_of(LSTM_FLOAT32, kept, reads_tokens ? 2 : 3, 1, KEPT, (int64_t)inputs);
  const lstm_array targets =
      gives_last ? y : array_of(LSTM_FLOAT32, series, reads_tokens ? 2 : 3, 1, KEPT, (int64_t)inputs);
  compare_step(model, stream, &targets, &whole, &targets);
  lstm_stream_free(stream), lstm_free(model);
}

/* Samples that are no sequences. */
static void compare_samples(void) {
  float series[READ * 2];
  lstm_model *model;
  OK(lstm_create("{'input_shape': [2], 'layers': [{'type': 'dense', 'units': 2}], 'training': {'loss': 'mse'}}", NULL,
                 &model));
  for (int i = 0; i < READ * 2; i++) series[i] = (float)(i * i % 11) / 11;
  lstm_stream *stream = read_series(model, series, 2, 2);
  const float *kept = series + (READ - KEPT) * 2;
  const lstm_array x = array_of(LSTM_FLOAT32, kept, 2, KEPT - 1, 2, 0),
                   y = array_of(LSTM_FLOAT32, kept + 2, 2, KEPT - 1, 2, 0);
  compare_step(model, stream, NULL, &x, &y);
  lstm_stream_free(stream), lstm_free(model);
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  versions = atoi(arguments[2]);
  CHECK(versions > 1 && versions <= MAX_VERSIONS);
  open_library(arguments[1]);
  make_data();
  letters_x = array_of(LSTM_STRING, letters_rows, 1, ROWS, 0, 0);
  publish_beside_readers();
  train_after_publishing();
  compare_learning(
      "{'input_shape': [null, 2], 'layers': [{'type': 'lstm', 'units': 3, 'return_sequences': true}, {'type':"
      " 'dense', 'units': 2}], 'training': {'loss': 'mse'}}",
      2, 2, 0, 0);
  compare_learning("{'input_shape': [null, 2], 'layers': [{'type': 'gru', 'units': 3}, {'type': 'dense', 'units': 2}],"
                   " 'training': {'loss': 'mse'}}",
                   2, 2, 0, 1);
  compare_learning("{'layers': [{'type': 'embedding', 'vocabulary': 7, 'units': 3}, {'type': 'lstm', 'units': 4,"
                   " 'return_sequences': true}, {'type': 'dense', 'units': 7, 'activation': 'softmax'}],"
                   " 'training': {'loss': 'sparse_categorical_crossentropy'}}",
                   1, 7, 1, 0);
  compare_samples();
  puts("versions equal");
  return 0;
}

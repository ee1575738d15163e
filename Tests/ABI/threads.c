/* Eight threads use one model at once, through every function that takes it as const; each compares with what one
 * thread alone got, bit for bit. Meanwhile another model is trained by each. For ThreadSanitizer, and as it is. */
#include <lstm_dl.h>

#include "support.h"

#include <pthread.h>

enum { THREADS = 8, ROUNDS = 20, TEXT_CAPACITY = 16384, TOKENS_MADE = 20 };

typedef struct {
  float predicted[ROWS * OUTPUTS], repredicted[ROWS * OUTPUTS], streamed[STEPS * OUTPUTS], losses[LSTM_MAX_COLUMNS];
  int32_t generated[2 * TOKENS_MADE];
  char description[TEXT_CAPACITY], summary[TEXT_CAPACITY];
  blob saved, trained;
} answers;

static lstm_model *shared, *language;
static answers expected;
static pthread_barrier_t start;

static void stream_one_row(float *y) {
  lstm_stream *stream;
  OK(lstm_stream_create(shared, &stream));
  for (int t = 0; t < STEPS; t++)
    OK(lstm_stream_step(stream, numbers_x + t * FEATURES, FEATURES, y + t * OUTPUTS, OUTPUTS));
  lstm_stream_free(stream);
}

static void generate(int32_t *tokens) {
  lstm_generate_options options = generate_options(2, TOKENS_MADE);
  options.top_p = 0.9, options.threads = 2;
  OK(lstm_generate(language, &data.prompt, &options, tokens, 2 * TOKENS_MADE, NULL, NULL));
}

/* With workers of its own, twice: the second time they have waited. */
static void predict_again(float *y) {
  lstm_predictor *predictor;
  OK(lstm_predictor_create(shared, 2, &predictor));
  for (int i = 0; i < 2; i++) OK(lstm_predictor_run(predictor, &data.x, y, ROWS * OUTPUTS, NULL));
  lstm_predictor_free(predictor);
}

static void evaluate(float *losses) {
  double values[LSTM_MAX_COLUMNS] = {0};
  lstm_history history;
  OK(lstm_history_init(&history, sizeof history, values, 1));
  OK(lstm_evaluate(shared, &data.x, &data.y, NULL, &history));
  for (int i = 0; i < LSTM_MAX_COLUMNS; i++) losses[i] = (float)values[i];
}

static blob train_a_clone(void) {
  lstm_model *clone;
  OK(lstm_clone(shared, &clone));
  train_numbers(clone, 1);
  const blob saved = save_blob(clone);
  lstm_free(clone);
  return saved;
}

static void ask(answers *a) {
  memset(a, 0, sizeof *a);
  OK(lstm_predict(shared, &data.x, NULL, a->predicted, ROWS * OUTPUTS, NULL));
  predict_again(a->repredicted);
  stream_one_row(a->streamed);
  generate(a->generated);
  evaluate(a->losses);
  OK(lstm_describe(shared, a->description, sizeof a->description, NULL));
  OK(lstm_summary(shared, a->summary, sizeof a->summary, NULL));
  a->saved = save_blob(shared);
  a->trained = train_a_clone();
}

static void *work(void *user) {
  answers *a = malloc(sizeof *a);
  (void)user;
  CHECK(a != NULL);
  pthread_barrier_wait(&start);
  for (int i = 0; i < ROUNDS; i++) {
    ask(a);
    CHECK(memcmp(a, &expected, offsetof(answers, saved)) == 0);
    CHECK(equal_blobs(a->saved, expected.saved) && equal_blobs(a->trained, expected.trained));
    CHECK(lstm_get_parameter(shared, "none", NULL, 0, NULL) == LSTM_ERR_ARG && strstr(lstm_last_error(), "none"));
    free(a->saved.bytes), free(a->trained.bytes);
  }
  free(a);
  return NULL;
}

int main(int count, char **arguments) {
  pthread_t threads[THREADS];
  if (count != 2) return 2;
  open_library(arguments[1]);
  make_data();
  shared = make_numbers(NULL), language = make_language(NULL);
  ask(&expected);
  pthread_barrier_init(&start, NULL, THREADS);
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  free(expected.saved.bytes), free(expected.trained.bytes);
  lstm_free(shared), lstm_free(language);
  return 0;
}

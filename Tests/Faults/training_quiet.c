/* Steps of trainers and runs of predictors that have seen their shapes: no allocation on any thread, no system call but
 * those by which threads wait for and wake one another. And calls of lstm_train: more epochs allocate no more.
 * Usage: training_quiet LIBRARY quiet|noisy; see quiet.h. */
#include <lstm_dl.h>

#include "quiet.h"

enum { MOST_ROWS = 24, STEPS_MADE = 20, UNITS_OUT = 2 };

/* PAIR: numbers and tokens; BOTH: values and labels of each step. */
typedef enum { NUMBERS, TEXTS, TOKENS, PAIR } input;
typedef enum { VALUES, LABELS, STEP_LABELS, BOTH } target;

typedef struct {
  const char *name, *description;
  input x;
  target y;
} subject;

static const subject subjects[] = {
    {"numbers", numbers_description, NUMBERS, VALUES},
    {"text", text_description, TEXTS, LABELS},
    {"tokens",
     "{'layers': [{'type': 'embedding', 'vocabulary': 9, 'units': 4, 'mask_zero': true},"
     " {'type': 'bidirectional', 'layer': {'type': 'gru', 'units': 5, 'return_sequences': true, 'dropout': 0.1}},"
     " {'type': 'gru', 'units': 6, 'reset_after': false}, {'type': 'dense', 'units': 3, 'activation': 'softmax'}],"
     " 'training': {'loss': 'sparse_categorical_crossentropy',"
     " 'optimizer': {'type': 'sgd', 'momentum': 0.9, 'clipnorm': 1}}}",
     TOKENS, LABELS},
    {"directions",
     "{'input_shape': [null, 3], 'layers': [{'type': 'bidirectional', 'merge': 'mul', 'layer': {'type': 'lstm',"
     " 'units': 20, 'activation': 'relu'}}, {'type': 'activation', 'activation': 'elu'},"
     " {'type': 'dense', 'units': 2, 'activation': 'sigmoid'}],"
     " 'training': {'loss': 'binary_crossentropy', 'optimizer': {'type': 'adagrad', 'clipvalue': 0.5}}}",
     NUMBERS, VALUES},
    /* Large enough for all workers to make 8 rows together, and 24 rows in two parts. */
    {"large",
     "{'input_shape': [null, 3], 'layers': [{'type': 'lstm', 'units': 200, 'return_sequences': true},"
     " {'type': 'dense', 'units': 3, 'activation': 'softmax'}],"
     " 'training': {'loss': 'sparse_categorical_crossentropy', 'optimizer': 'adamw'}}",
     NUMBERS, STEP_LABELS},
    {"pair",
     "{'inputs': [{'name': 'numbers', 'shape': [null, 3]}, {'name': 'words'}], 'outputs': ['last', 'kind'], 'layers': ["
     " {'type': 'embedding', 'vocabulary': 9, 'units': 4, 'mask_zero': true, 'inputs': 'words'},"
     " {'type': 'lstm', 'units': 5, 'name': 'encoder'}, {'type': 'lstm', 'units': 5, 'return_sequences': true,"
     " 'inputs': ['numbers', 'encoder.hidden', 'encoder.memory'], 'name': 'trunk'},"
     " {'type': 'gru', 'units': 2, 'inputs': 'trunk', 'name': 'last'},"
     " {'type': 'dense', 'units': 3, 'activation': 'softmax', 'inputs': 'trunk', 'name': 'kind'}],"
     " 'training': {'loss': ['mse', 'sparse_categorical_crossentropy'], 'loss_weights': [1, 0.5]}}",
     PAIR, BOTH},
};

static float x_numbers[MOST_ROWS * STEPS * FEATURES], y_values[MOST_ROWS * UNITS_OUT],
    room_out[MOST_ROWS * (STEPS * 3 + UNITS_OUT)];
static int32_t x_tokens[MOST_ROWS * STEPS], y_labels[MOST_ROWS * STEPS];
static int64_t x_lengths[MOST_ROWS];
static double sample_weights[MOST_ROWS];
static const char *x_texts[MOST_ROWS];

static void fill_arrays(void) {
  for (int i = 0; i < MOST_ROWS * STEPS * FEATURES; i++) x_numbers[i] = (float)((i * 37) % 23) / 11.0f - 1.0f;
  for (int i = 0; i < MOST_ROWS * STEPS; i++) x_tokens[i] = (i * 5) % 9, y_labels[i] = (i * 7) % CLASSES;
  for (int i = 0; i < MOST_ROWS * UNITS_OUT; i++) y_values[i] = (float)(i % 2);
  for (int i = 0; i < MOST_ROWS; i++) {
    x_texts[i] = text_x[i % ROWS], x_lengths[i] = numbers_lengths[i % ROWS];
    sample_weights[i] = numbers_weights[i % ROWS];
  }
}

/* Of a pair `data`, whose first arrays are those named here. */
typedef struct {
  lstm_array x, y, weights, tokens, labels;
  const lstm_array *xs[2], *ys[2], *of_first[2];
  lstm_data data;
  int is_pair;
} batch;

static void fill_pair(batch *b, int rows) {
  b->tokens = array_of(LSTM_INT32, x_tokens, 2, rows, STEPS, 0);
  b->labels = array_of(LSTM_INT32, y_labels, 2, rows, STEPS, 0);
  b->xs[0] = &b->x, b->xs[1] = &b->tokens, b->ys[0] = &b->y, b->ys[1] = &b->labels;
  b->of_first[0] = &b->weights, b->of_first[1] = NULL;
  OK(lstm_data_init(&b->data, sizeof b->data));
  b->data.inputs = b->data.outputs = 2, b->data.x = b->xs, b->data.y = b->ys;
}

static void fill_batch(batch *b, const subject *s, int rows) {
  switch (s->x) {
  case NUMBERS:
  case PAIR:
    b->x = array_of(LSTM_FLOAT32, x_numbers, 3, rows, STEPS, FEATURES);
    b->x.lengths = x_lengths;
    break;
  case TEXTS:
    b->x = array_of(LSTM_STRING, x_texts, 1, rows, 0, 0);
    break;
  case TOKENS:
    b->x = array_of(LSTM_INT32, x_tokens, 2, rows, STEPS, 0);
    break;
  }
  switch (s->y) {
  case VALUES:
  case BOTH:
    b->y = array_of(LSTM_FLOAT32, y_values, 2, rows, UNITS_OUT, 0);
    break;
  case LABELS:
    b->y = array_of(LSTM_INT32, y_labels, 1, rows, 0, 0);
    break;
  case STEP_LABELS:
    b->y = array_of(LSTM_INT32, y_labels, 2, rows, STEPS, 0);
    break;
  }
  b->weights = array_of(LSTM_FLOAT64, sample_weights, 1, rows, 0, 0);
  b->is_pair = s->x == PAIR;
  if (b->is_pair) fill_pair(b, rows);
}

static lstm_model *make_model(const subject *s, const batch *b) {
  lstm_model *model;
  OK(lstm_create(s->description, NULL, &model));
  OK(b->is_pair ? lstm_adapt_many(model, &b->data) : lstm_adapt(model, &b->x));
  return model;
}

static int step_of(lstm_trainer *trainer, batch *b, int weighted, double *loss) {
  if (!b->is_pair) return lstm_trainer_step(trainer, &b->x, &b->y, weighted ? &b->weights : NULL, loss);
  b->data.weights = weighted ? b->of_first : NULL;
  return lstm_trainer_step_many(trainer, &b->data, loss);
}

/* With sample weights and without: they are read in different ways. */
static int step(lstm_trainer *trainer, batch *b) {
  double loss, rate;
  int failures = step_of(trainer, b, 0, &loss) != LSTM_OK;
  failures += step_of(trainer, b, 1, NULL) != LSTM_OK;
  failures += lstm_trainer_learning_rate(trainer, &rate) != LSTM_OK;
  return failures + (lstm_trainer_set_learning_rate(trainer, 0.9 * rate) != LSTM_OK);
}

static void train_quietly(const subject *s, int rows, int threads, int noisy) {
  batch b;
  lstm_trainer *trainer;
  fill_batch(&b, s, rows);
  OK(lstm_trainer_create(make_model(s, &b), &trainer));
  OK(lstm_trainer_set_threads(trainer, (uint32_t)threads));
  CHECK(step(trainer, &b) == 0);
  forbid_system_calls(threads > 1);
  const long before = count_all_allocations();
  int failures = 0;
  for (int i = 0; i < STEPS_MADE; i++) failures += step(trainer, &b);
  end_quietly(failures, before, noisy);
}

static int predict(lstm_predictor *predictor, const batch *b) {
  const size_t room = sizeof room_out / sizeof *room_out;
  return b->is_pair ? lstm_predictor_run_many(predictor, &b->data, room_out, room, NULL)
                    : lstm_predictor_run(predictor, &b->x, room_out, room, NULL);
}

static void predict_quietly(const subject *s, int rows, int threads, int noisy) {
  batch b;
  lstm_predictor *predictor;
  fill_batch(&b, s, rows);
  OK(lstm_predictor_create(make_model(s, &b), (uint32_t)threads, &predictor));
  OK(predict(predictor, &b));
  forbid_system_calls(threads > 1);
  const long before = count_all_allocations();
  int failures = 0;
  for (int i = 0; i < STEPS_MADE; i++) failures += predict(predictor, &b) != LSTM_OK;
  end_quietly(failures, before, noisy);
}

static void in_child(const subject *s, int rows, int threads, int noisy, const char *what,
                     void (*run)(const subject *, int, int, int)) {
  char name[80];
  snprintf(name, sizeof name, "%s %s, %d rows, %d threads", what, s->name, rows, threads);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) run(s, rows, threads, noisy);
  report_child(child, name);
}

/* The allocations of a call of lstm_train on a model of its own. */
static long allocations_of_epochs(const subject *s, uint32_t epochs) {
  batch b;
  fill_batch(&b, s, MOST_ROWS);
  lstm_model *model = make_model(s, &b);
  lstm_options options = options_with(epochs, ROWS);
  /* In their order, batches have the same lengths in every epoch. */
  options.threads = 1, options.shuffle = 0, options.validation_split = 0.25;
  const long before = count_all_allocations();
  OK(b.is_pair ? lstm_train_many(model, &b.data, &options, NULL) : lstm_train(model, &b.x, &b.y, &options, NULL));
  const long made = count_all_allocations() - before;
  lstm_free(model);
  return made;
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  open_library(arguments[1]);
  fill_arrays();
  const int noisy = strcmp(arguments[2], "noisy") == 0;
  for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
    const subject *s = &subjects[i];
    for (int threads = 1; threads <= 2; threads++)
      for (int rows = ROWS; rows <= MOST_ROWS; rows += MOST_ROWS - ROWS) {
        in_child(s, rows, threads, noisy, "train", train_quietly);
        in_child(s, rows, threads, noisy, "predict", predict_quietly);
      }
    const long few = allocations_of_epochs(s, 1), many = allocations_of_epochs(s, 4);
    printf("epochs %s: %s\n", s->name, few == many && few > 0 ? "quiet" : "allocated");
  }
  return 0;
}

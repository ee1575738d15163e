/* An encoder and a decoder learn to write numbers backwards: the decoder begins with the states that the encoder ends
 * with, and is taught with the right digits before each (teacher forcing). Then it writes by itself, digit for digit. */
#include "example.h"

enum { NUMBERS = 4000, ASKED = 200, DIGITS = 4, TOKENS = 11, START = 10 };

static const char description[] =
    "{'inputs': [{'name': 'source'}, {'name': 'given'}], 'seed': 1, 'layers': ["
    " {'type': 'embedding', 'vocabulary': 10, 'units': 16, 'inputs': 'source'},"
    " {'type': 'lstm', 'units': 64, 'name': 'encoder'},"
    " {'type': 'embedding', 'vocabulary': 11, 'units': 16, 'inputs': 'given', 'name': 'teacher'},"
    " {'type': 'lstm', 'units': 64, 'return_sequences': true, 'inputs': ['teacher', 'encoder.hidden', "
    "'encoder.memory']},"
    " {'type': 'dense', 'units': 11, 'activation': 'softmax'}],"
    " 'training': {'loss': 'sparse_categorical_crossentropy', 'metrics': ['accuracy'],"
    " 'optimizer': {'type': 'adam', 'learning_rate': 0.01, 'clipnorm': 1}}}";

/* The answers are the digits backwards; the decoder reads them one step later. */
static void make_numbers(int count, int32_t (*source)[DIGITS], int32_t (*given)[DIGITS], int32_t (*answer)[DIGITS]) {
  for (int i = 0; i < count; i++)
    for (int t = 0; t < DIGITS; t++) {
      source[i][t] = answer[i][DIGITS - 1 - t] = rand() / 7 % 10;
      given[i][t] = START;
    }
  for (int i = 0; i < count; i++)
    for (int t = 1; t < DIGITS; t++) given[i][t] = answer[i][t - 1];
}

static lstm_data both(const lstm_array *const *x, const lstm_array *const *y) {
  lstm_data data;
  CHECK(lstm_data_init(&data, sizeof data));
  data.inputs = 2, data.x = x, data.outputs = 1, data.y = y;
  return data;
}

int main(void) {
  static int32_t source[NUMBERS][DIGITS], given[NUMBERS][DIGITS], answer[NUMBERS][DIGITS];
  static float written[ASKED * DIGITS * TOKENS];
  double figures[LSTM_MAX_COLUMNS];
  lstm_model *model;
  lstm_history history;
  lstm_options options;
  srand(1);
  make_numbers(NUMBERS, source, given, answer);
  lstm_array x = view(LSTM_INT32, source, NUMBERS, DIGITS, 0), taught = view(LSTM_INT32, given, NUMBERS, DIGITS, 0);
  lstm_array y = view(LSTM_INT32, answer, NUMBERS, DIGITS, 0);
  const lstm_array *const xs[2] = {&x, &taught}, *const ys[1] = {&y};
  lstm_data data = both(xs, ys);

  CHECK(lstm_create(description, NULL, &model));
  CHECK(lstm_options_init(&options, sizeof options));
  CHECK(lstm_history_init(&history, sizeof history, figures, 1));
  options.batch_size = 64, options.epochs = 15;
  CHECK(lstm_train_many(model, &data, &options, &history));
  printf("after %u epochs: loss %.3f, digits right when taught %.3f\n", options.epochs, figures[0], figures[1]);

  make_numbers(ASKED, source, given, answer);
  x.shape[0] = taught.shape[0] = ASKED;
  for (int t = 0; t < DIGITS; t++) { /* what has been written is what the decoder reads next */
    taught.shape[1] = t + 1;
    CHECK(lstm_predict_many(model, &data, NULL, written, sizeof written / sizeof *written, NULL));
    for (int i = 0; i < ASKED; i++) {
      const float *last = written + (i * (t + 1) + t) * TOKENS;
      int best = 0;
      for (int k = 1; k < 10; k++) best = last[k] > last[best] ? k : best;
      if (t + 1 < DIGITS) given[i][t + 1] = best;
      answer[i][t] -= best; /* 0 where it is right */
    }
  }
  int right = 0;
  for (int i = 0; i < ASKED; i++) right += !answer[i][0] && !answer[i][1] && !answer[i][2] && !answer[i][3];
  printf("%d of %d numbers written backwards without a mistake\n", right, ASKED);
  lstm_free(model);
  return right < ASKED * 7 / 10;
}

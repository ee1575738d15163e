/* The hello world of recurrent networks: token sequences in, one probability out. The labels are random, so that there
 * is nothing to learn but the calls: create, summary, train, predict. */
#include "example.h"

enum { SAMPLES = 100, LENGTH = 120, WORDS = 10000, EPOCHS = 5 };

static int show_epoch(const lstm_progress *progress, void *user) {
  (void)user;
  if (progress->event == LSTM_EVENT_EPOCH_END) {
    printf("epoch %u/%u", (unsigned)progress->epoch + 1, (unsigned)progress->epochs);
    for (uint32_t i = 0; i < progress->columns; i++) printf("  %s %.4f", progress->names[i], progress->values[i]);
    printf("\n");
  }
  return 0;
}

int main(void) {
  static int32_t tokens[SAMPLES][LENGTH];
  static uint8_t labels[SAMPLES];
  static float answers[SAMPLES];
  srand(1);
  for (int i = 0; i < SAMPLES; i++) {
    for (int t = 0; t < LENGTH; t++) tokens[i][t] = rand() % WORDS;
    labels[i] = (uint8_t)(rand() % 2);
  }

  lstm_model *model;
  CHECK(lstm_create("{'layers': [{'type': 'embedding', 'vocabulary': 10000, 'units': 16},"
                    "            {'type': 'lstm', 'units': 32},"
                    "            {'type': 'dense', 'units': 1, 'activation': 'sigmoid'}],"
                    " 'training': {'loss': 'binary_crossentropy', 'optimizer': 'adam', 'metrics': ['accuracy']}}",
                    NULL, &model));

  static char summary[4096];
  CHECK(lstm_summary(model, summary, sizeof summary, NULL));
  puts(summary);

  lstm_array x = view(LSTM_INT32, tokens, SAMPLES, LENGTH, 0), y = view(LSTM_UINT8, labels, SAMPLES, 0, 0);
  lstm_options options;
  CHECK(lstm_options_init(&options, sizeof options));
  options.epochs = EPOCHS;
  options.validation_split = 0.2;
  options.progress = show_epoch;
  CHECK(lstm_train(model, &x, &y, &options, NULL));

  CHECK(lstm_predict(model, &x, NULL, answers, SAMPLES, NULL));
  printf("first sample: predicted %.3f, label %d\n", answers[0], labels[0]);
  lstm_free(model);
  return 0;
}

/* Learns to tell good from bad film reviews out of raw text, saves the model, loads it and asks it about new sentences:
 *     sentiment DATA_FOLDER OUTPUT_FOLDER [SENTENCE...]
 * Writes sentiment.safetensors, history.csv and predictions.f32 (the answers on the test set) to OUTPUT_FOLDER. */
#include "02_sentiment.h"
#include <unistd.h>

static reviews train, validation, test;
static float answers[REVIEWS_CAPACITY], loaded_answers[REVIEWS_CAPACITY];

static int show_progress(const lstm_progress *p, void *user) {
  int epoch_end = p->event == LSTM_EVENT_EPOCH_END;
  if (!epoch_end && !(p->event == LSTM_EVENT_BATCH_END && *(int *)user)) return 0;
  printf("%sepoch %2u  %3d %%", *(int *)user ? "\r" : "", (unsigned)p->epoch + 1, (int)(100 * p->batch / p->batches));
  for (uint32_t i = 0; i < p->columns; i++) printf("  %s %.3f", p->names[i], p->values[i]);
  printf("  %.0f reviews/s  %s", p->samples_per_second, epoch_end ? "\n" : "");
  fflush(stdout);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 3) return fprintf(stderr, "usage: %s DATA_FOLDER OUTPUT_FOLDER [SENTENCE...]\n", argv[0]), 2;
  read_reviews(argv[1], "train.tsv", &train);
  read_reviews(argv[1], "validation.tsv", &validation);
  read_reviews(argv[1], "test.tsv", &test);
  printf("film reviews: %zu to learn from, %zu to watch, %zu to test\n", train.count, validation.count, test.count);
  lstm_array x = view(LSTM_STRING, train.texts, train.count, 0, 0);
  lstm_array y = view(LSTM_FLOAT32, train.labels, train.count, 0, 0);
  lstm_array weights = view(LSTM_FLOAT32, train.weights, train.count, 0, 0);
  lstm_array vx = view(LSTM_STRING, validation.texts, validation.count, 0, 0);
  lstm_array vy = view(LSTM_FLOAT32, validation.labels, validation.count, 0, 0);
  lstm_array tx = view(LSTM_STRING, test.texts, test.count, 0, 0);
  lstm_array ty = view(LSTM_FLOAT32, test.labels, test.count, 0, 0);

  lstm_model *model, *loaded;
  CHECK(lstm_create("{'seed': 1, 'layers': ["
                    "  {'type': 'text', 'max_tokens': 10000, 'length': 40},"
                    "  {'type': 'embedding', 'vocabulary': 10000, 'units': 100, 'mask_zero': true},"
                    "  {'type': 'lstm', 'units': 32, 'dropout': 0.6},"
                    "  {'type': 'dropout', 'rate': 0.5},"
                    "  {'type': 'dense', 'units': 1, 'activation': 'sigmoid'}],"
                    " 'training': {'loss': 'binary_crossentropy', 'optimizer': 'adam', 'metrics': ['accuracy']}}",
                    NULL, &model));
  CHECK(lstm_adapt(model, &x)); /* the words of the training set become the vocabulary */

  static double history_values[32 * LSTM_MAX_COLUMNS], result_values[LSTM_MAX_COLUMNS];
  lstm_history history, result;
  lstm_options options;
  int terminal = isatty(STDOUT_FILENO);
  CHECK(lstm_history_init(&history, sizeof history, history_values, 32));
  CHECK(lstm_history_init(&result, sizeof result, result_values, 1));
  CHECK(lstm_options_init(&options, sizeof options));
  options.epochs = 15, options.batch_size = 64;
  options.sample_weights = &weights; /* the surer people were of a review, the more it counts */
  options.validation_x = &vx, options.validation_y = &vy;
  options.early_stopping = 1, options.patience = 3, options.monitor = "val_accuracy"; /* ends with the best weights */
  options.progress = show_progress, options.progress_user = &terminal;
  CHECK(lstm_train(model, &x, &y, &options, &history));
  CHECK(lstm_evaluate(model, &tx, &ty, NULL, &result));
  printf("test %s %.1f %% of %zu reviews\n", result.names[1], 100 * result.values[1], test.count);

  CHECK(lstm_predict(model, &tx, NULL, answers, REVIEWS_CAPACITY, NULL));
  CHECK(lstm_save(model, path_in(argv[2], "sentiment.safetensors"), 0));
  CHECK(lstm_load(path_in(argv[2], "sentiment.safetensors"), NULL, &loaded));
  CHECK(lstm_predict(loaded, &tx, NULL, loaded_answers, REVIEWS_CAPACITY, NULL));
  if (memcmp(answers, loaded_answers, sizeof answers) != 0) return fprintf(stderr, "the loaded model differs\n"), 1;

  write_answers(argv[2], "predictions.f32", answers, test.count);
  write_history(argv[2], "history.csv", &history);

  for (int i = 3; i < argc; i++) {
    lstm_array sentence = view(LSTM_STRING, &argv[i], 1, 0, 0);
    CHECK(lstm_predict(loaded, &sentence, NULL, answers, 1, NULL));
    printf("%5.1f %% positive: %s\n", 100 * answers[0], argv[i]);
  }
  lstm_free(model), lstm_free(loaded);
  return 0;
}

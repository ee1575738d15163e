/* Learns from film reviews what character comes next, then writes on from prompts, a character at a time:
 *     generate DATA_FOLDER [PROMPT...] */
#include "02_sentiment.h"

enum { LENGTH = 100, MOST = 8192, LONGEST = 160 };

static reviews train;
static int32_t next[REVIEWS_CAPACITY]
                   [LENGTH]; /* of each character the one after it; not read behind the end of a text */

static int show_progress(const lstm_progress *p, void *user) {
  (void)user;
  if (p->event != LSTM_EVENT_EPOCH_END) return 0;
  printf("epoch %u  %s %.3f  %s %.3f\n", (unsigned)p->epoch + 1, p->names[0], p->values[0], p->names[1], p->values[1]);
  return 0;
}

static int print_token(size_t sequence, size_t index, int32_t token, double log_probability, void *model) {
  char text[64];
  (void)sequence, (void)index, (void)log_probability;
  CHECK(lstm_detokenize(model, &token, 1, text, sizeof text, NULL));
  fputs(text, stdout);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2) return fprintf(stderr, "usage: %s DATA_FOLDER [PROMPT...]\n", argv[0]), 2;
  read_reviews(argv[1], "train.tsv", &train);

  lstm_model *model;
  CHECK(lstm_create("{'seed': 1, 'layers': ["
                    "  {'type': 'text', 'level': 'character', 'length': 100},"
                    "  {'type': 'embedding', 'vocabulary': 60, 'units': 32, 'mask_zero': true},"
                    "  {'type': 'lstm', 'units': 128, 'return_sequences': true},"
                    "  {'type': 'dense', 'units': 60}],"
                    " 'training': {'loss': {'type': 'sparse_categorical_crossentropy', 'from_logits': true},"
                    "              'optimizer': {'type': 'adam', 'learning_rate': 0.01}, 'metrics': ['perplexity']}}",
                    NULL, &model));
  train.texts[train.count] = "\n"; /* so that a review can end, the vocabulary has this one too */
  lstm_array texts = view(LSTM_STRING, train.texts, train.count + 1, 0, 0);
  CHECK(lstm_adapt(model, &texts));
  texts = view(LSTM_STRING, train.texts, train.count, 0, 0);

  int32_t newline, tokens[MOST];
  size_t count;
  CHECK(lstm_tokenize(model, "\n", &newline, 1, NULL));
  for (size_t i = 0; i < train.count; i++) {
    CHECK(lstm_tokenize(model, train.texts[i], tokens, MOST - 1, &count));
    tokens[count] = newline;
    for (size_t t = 0; t < LENGTH && t < count; t++) next[i][t] = tokens[t + 1];
  }
  lstm_array y = view(LSTM_INT32, next, train.count, LENGTH, 0);
  lstm_options options;
  CHECK(lstm_options_init(&options, sizeof options));
  options.epochs = 3, options.batch_size = 64, options.progress = show_progress;
  CHECK(lstm_train(model, &texts, &y, &options, NULL));

  lstm_generate_options how;
  CHECK(lstm_generate_options_init(&how, sizeof how));
  how.max_length = LONGEST, how.temperature = 0.6, how.seed = 1;
  how.end_tokens = &newline, how.end_count = 1;
  how.token = print_token, how.token_user = model;
  const char *const usual[] = {"the film ", "a "};
  for (int i = 0; i < (argc > 2 ? argc - 2 : 2); i++) {
    const char *prompt = argc > 2 ? argv[i + 2] : usual[i];
    lstm_array start = view(LSTM_STRING, &prompt, 1, 0, 0);
    printf("%s", prompt);
    CHECK(lstm_generate(model, &start, &how, tokens, MOST, NULL, NULL));
    printf("\n");
  }
  lstm_free(model);
  return 0;
}

/* Hundreds of tokens of a generator without one allocation or system call, and as many of lstm_generate once the first of
 * each sequence are there; a beam search over more tokens allocates no more.
 * Usage: generation_quiet LIBRARY quiet|noisy; see quiet.h. */
#include <lstm_dl.h>

#include "quiet.h"

enum { TOKENS_MADE = 500, SEQUENCES = 3, WARM = 4 };

static int32_t made[SEQUENCES * TOKENS_MADE];
static lstm_generate_options plain, cut;

static void ask_quietly(const lstm_model *model, const lstm_generate_options *options, int noisy) {
  lstm_generator *generator;
  int32_t token;
  int failures = 0;
  OK(lstm_generator_create(model, &data.prompt, options, &generator));
  OK(lstm_generator_next(generator, &token, NULL));
  forbid_system_calls(0);
  const long before = count_all_allocations();
  for (int i = 1; i < TOKENS_MADE; i++)
    failures += lstm_generator_next(generator, &token, NULL) != LSTM_OK || token < 0;
  end_quietly(failures, before, noisy);
}

typedef struct {
  long before;
  int noisy;
} watch;

/* From the fifth token on all is quiet, to the last. */
static int listen(size_t sequence, size_t index, int32_t token, double log_probability, void *user) {
  watch *w = user;
  (void)token, (void)log_probability;
  if (sequence == 0 && index == WARM) {
    forbid_system_calls(0);
    w->before = count_all_allocations();
  }
  if (sequence == SEQUENCES - 1 && index == TOKENS_MADE - 1) end_quietly(0, w->before, w->noisy);
  return 0;
}

static void hear_quietly(const lstm_model *model, lstm_generate_options options, int noisy) {
  watch w = {0, noisy};
  options.sequences = SEQUENCES, options.token = listen, options.token_user = &w;
  OK(lstm_generate(model, &data.prompt, &options, made, SEQUENCES * TOKENS_MADE, NULL, NULL));
  FAIL("the last token did not come");
}

static long allocations_of_beams(const lstm_model *model, size_t length) {
  lstm_generate_options options = generate_options(2, length);
  options.beams = SEQUENCES;
  const long before = count_all_allocations();
  OK(lstm_generate(model, &data.prompt, &options, made, SEQUENCES * TOKENS_MADE, NULL, NULL));
  return count_all_allocations() - before;
}

static void search_quietly(const lstm_model *model, int noisy) {
  const long few = allocations_of_beams(model, 5), many = allocations_of_beams(model, TOKENS_MADE);
  forbid_system_calls(0);
  end_quietly(many != few, count_all_allocations(), noisy);
}

static void in_child(const lstm_model *model, int what, int noisy) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    if (what < 2) ask_quietly(model, what ? &cut : &plain, noisy);
    if (what < 4) hear_quietly(model, what == 3 ? cut : plain, noisy);
    search_quietly(model, noisy);
  }
  report_child(child, what < 2 ? "generator" : what < 4 ? "sequences" : "beams");
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  open_library(arguments[1]);
  make_data();
  const lstm_model *model = make_language(NULL);
  plain = cut = generate_options(1, TOKENS_MADE);
  cut.temperature = 0.8, cut.top_k = 5, cut.top_p = 0.9, cut.repetition_penalty = 1.1;
  for (int what = 0; what < 5; what++) in_child(model, what, strcmp(arguments[2], "noisy") == 0);
  return 0;
}

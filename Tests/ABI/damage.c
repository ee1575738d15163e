/* Loads damaged model files. Usage, in a folder of its own:
 *   damage LIBRARY make            writes sample files: numbers, text, weights, bf16, int8 (each *.safetensors)
 *   damage LIBRARY raw FILE        truncations, flipped bits, overwritten, moved and lost bytes: none may load
 *   damage LIBRARY corpus FILE     files of test_damaged_files.py with right checksums: each is refused, or is a whole
 *                                  model that agrees with its own description
 * Each file lies at the very end of its memory, so that reading one byte too far is a crash. The loads run in children;
 * a line "FINDING ..." names what killed one, hung, or was accepted, and the file is kept as finding-N. */
#include <lstm_dl.h>

#include "support.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GUARD = 4096, ROOM = 1 << 20, CHUNK = 1000, SECONDS = 30 };

static blob original;
static unsigned char *guarded_end;
static struct {
  long done, accepted, findings, number;
  char what[200];
  size_t size;
} *shared;

static void make_guarded_room(void) {
  unsigned char *memory = mmap(NULL, ROOM + GUARD, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED && mprotect(memory + ROOM, GUARD, PROT_NONE) == 0);
  guarded_end = memory + ROOM;
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
}

static void finding(const char *text) {
  char name[64];
  printf("FINDING %s: %s (finding-%ld)\n", shared->what, text, shared->findings);
  snprintf(name, sizeof name, "finding-%ld", shared->findings++);
  FILE *file = fopen(name, "wb");
  fwrite(guarded_end - shared->size, 1, shared->size, file);
  fclose(file);
  fflush(stdout);
}

/* ---- One load ---------------------------------------------------------------------------------------------------- */

static int same_parameters(const lstm_model *a, const lstm_model *b) {
  size_t counts[2];
  OK(lstm_parameter_count(a, &counts[0]));
  OK(lstm_parameter_count(b, &counts[1]));
  if (counts[0] != counts[1]) return 0;
  for (size_t i = 0; i < counts[0]; i++) {
    lstm_parameter infos[2];
    memset(infos, 0, sizeof infos);
    infos[0].struct_size = infos[1].struct_size = sizeof *infos;
    OK(lstm_parameter_info(a, i, &infos[0]));
    OK(lstm_parameter_info(b, i, &infos[1]));
    if (memcmp(&infos[0], &infos[1], sizeof *infos) != 0) return 0;
  }
  return 1;
}

/* An accepted file must be a whole model: the model that its description makes has the same parameters, it predicts and
 * trains on or says why not, and what it saves loads as the same bytes. */
static void check_model(lstm_model *model) {
  static char description[ROOM];
  static float y[1 << 16];
  lstm_model *made, *again;
  const lstm_options options = options_with(1, 4);
  OK(lstm_describe(model, description, sizeof description, NULL));
  OK(lstm_create(description, NULL, &made));
  if (!same_parameters(model, made)) finding("the model disagrees with its description");
  const blob saved = save_blob(model);
  OK(lstm_load_buffer(saved.bytes, saved.count, NULL, &again));
  const blob twice = save_blob(again);
  if (!equal_blobs(saved, twice)) finding("what it saves loads as something else");
  (void)lstm_predict(model, &data.x, NULL, y, sizeof y / sizeof *y, NULL);
  (void)lstm_predict(model, &data.text, NULL, y, sizeof y / sizeof *y, NULL);
  (void)lstm_train(model, &data.x, &data.y, &options, NULL);
  (void)lstm_train(model, &data.text, &data.labels, &options, NULL);
  free(saved.bytes), free(twice.bytes);
  lstm_free(made), lstm_free(again);
}

static void load(const void *bytes, size_t size, const char *what, int may_load) {
  lstm_model *const untouched = (lstm_model *)&shared, *model = untouched;
  memcpy(guarded_end - size, bytes, size);
  snprintf(shared->what, sizeof shared->what, "%s", what);
  shared->size = size;
  shared->done++;
  const int code = lstm_load_buffer(guarded_end - size, size, NULL, &model);
  if (code == LSTM_OK) {
    shared->accepted++;
    if (may_load)
      check_model(model);
    else
      finding("a damaged file was accepted");
    return lstm_free(model);
  }
  if (model != untouched) finding("*model was touched");
  if (code == LSTM_ERR_NOMEM && may_load) return;
  if (code != LSTM_ERR_FORMAT && code != LSTM_ERR_VERSION) finding(lstm_last_error());
  if (strlen(lstm_last_error()) < 10 || strstr(lstm_last_error(), "(cannot print")) finding("no good error text");
}

/* ---- Raw damage -------------------------------------------------------------------------------------------------- */

typedef void (*damage)(long number);
static unsigned char copy[ROOM];

static void fresh_copy(void) { memcpy(copy, original.bytes, original.count); }

static void load_copy(size_t size, const char *kind, long number) {
  char what[100];
  if (size == original.count && memcmp(copy, original.bytes, size) == 0) return;
  snprintf(what, sizeof what, "%s %ld", kind, number);
  load(copy, size, what, 0);
}

static void truncate_at(long number) {
  fresh_copy();
  load_copy((size_t)number, "cut to", number);
}

static void flip_bit(long number) {
  fresh_copy();
  copy[number / 8] ^= (unsigned char)(1 << number % 8);
  load_copy(original.count, "flipped bit", number);
}

static void overwrite(long number) {
  fresh_copy();
  const size_t length = 2 + random_number() % 63, start = random_number() % (original.count - length);
  for (size_t i = 0; i < length; i++)
    copy[start + i] = number % 3 ? (unsigned char)random_number() : (unsigned char)(number % 2 * 255);
  load_copy(original.count, "overwritten", number);
}

static void insert_bytes(long number) {
  const size_t length = 1 + random_number() % 16, at = random_number() % (original.count + 1);
  memcpy(copy, original.bytes, at);
  for (size_t i = 0; i < length; i++) copy[at + i] = number % 2 ? (unsigned char)random_number() : ' ';
  memcpy(copy + at + length, original.bytes + at, original.count - at);
  load_copy(original.count + length, "inserted", number);
}

static void remove_bytes(long number) {
  const size_t length = 1 + random_number() % 16, at = random_number() % (original.count - length);
  memcpy(copy, original.bytes, at);
  memcpy(copy + at, original.bytes + at + length, original.count - at - length);
  load_copy(original.count - length, "removed", number);
}

static void swap_blocks(long number) {
  fresh_copy();
  const size_t length = 4 + random_number() % 60, half = original.count / 2 - length;
  const size_t a = random_number() % half, b = original.count / 2 + random_number() % half;
  memcpy(copy + a, original.bytes + b, length);
  memcpy(copy + b, original.bytes + a, length);
  load_copy(original.count, "swapped", number);
}

static void change_length_field(long number) {
  const uint64_t right = *(const uint64_t *)original.bytes;
  const uint64_t lengths[] = {0,
                              1,
                              2,
                              7,
                              right - 8,
                              right - 1,
                              right + 1,
                              right + 8,
                              original.count - 8,
                              original.count,
                              original.count + 1,
                              UINT32_MAX,
                              (uint64_t)1 << 32,
                              ((uint64_t)1 << 32) + right,
                              INT64_MAX,
                              (uint64_t)1 << 63,
                              UINT64_MAX - 8,
                              UINT64_MAX - 7,
                              UINT64_MAX};
  fresh_copy();
  memcpy(copy, &lengths[number], 8);
  load_copy(original.count, "length field", number);
}

/* ---- Many loads, in children ------------------------------------------------------------------------------------- */

static void report_end(int status) {
  if (WIFSIGNALED(status))
    finding(WTERMSIG(status) == SIGALRM ? "HUNG" : strsignal(WTERMSIG(status)));
  else if (WEXITSTATUS(status))
    finding("a call on the loaded model failed");
}

/* Numbers from `first` to `end`; a child that dies is replaced by one that goes on after the number that killed it. */
static void run(damage act, long first, long end) {
  long next = first;
  while (next < end) {
    const long limit = next + CHUNK < end ? next + CHUNK : end;
    int status;
    fflush(stdout);
    random_state += (uint64_t)next;
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      alarm(SECONDS);
      for (shared->number = next; shared->number < limit; shared->number++) act(shared->number);
      fflush(stdout);
      _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    report_end(status);
    next = status == 0 ? limit : shared->number + 1;
  }
}

static void damage_raw(const char *path) {
  lstm_model *model;
  original = read_file(path);
  OK(lstm_load_buffer(original.bytes, original.count, NULL, &model));
  lstm_free(model);
  const long count = (long)original.count, header = 8 + *(const long *)original.bytes;
  run(truncate_at, 0, count);
  run(flip_bit, 0, header * 8);
  run(change_length_field, 0, 19);
  run(overwrite, 0, 2000);
  run(insert_bytes, 0, 1000);
  run(remove_bytes, 0, 1000);
  run(swap_blocks, 0, 500);
  for (int n = 0; n < 20; n++) {
    const long bit = (long)(random_number() % (uint64_t)((count - header) * 8 - 100));
    run(flip_bit, header * 8 + bit, header * 8 + bit + 100);
  }
}

/* ---- Files made elsewhere: repeated (8 bytes of length, the file) ------------------------------------------------ */

static const unsigned char **entries;

static void load_entry(long number) {
  char what[100];
  uint64_t size;
  memcpy(&size, entries[number], 8);
  snprintf(what, sizeof what, "corpus entry %ld", number);
  load(entries[number] + 8, size, what, 1);
}

static void load_corpus(const char *path) {
  const blob corpus = read_file(path);
  long count = 0;
  entries = calloc(corpus.count / 8 + 1, sizeof *entries);
  CHECK(entries != NULL);
  for (size_t at = 0; at < corpus.count;) {
    uint64_t size;
    entries[count++] = corpus.bytes + at;
    memcpy(&size, corpus.bytes + at, 8);
    CHECK(size <= ROOM);
    at += 8 + size;
  }
  run(load_entry, 0, count);
}

static int stop_in_the_middle(const lstm_progress *progress, void *user) {
  return (void)user, progress->event == LSTM_EVENT_BATCH_END && progress->epoch == 1 && progress->batch == 2;
}

/* With all that a file may hold of training. */
static void save_in_the_middle(const char *path) {
  lstm_model *model = make_numbers(NULL);
  lstm_options options = options_with(2, 2);
  options.reduce_on_plateau = 1, options.plateau_monitor = "loss", options.progress = stop_in_the_middle;
  OK(lstm_compile(model, "{'loss': 'mse', 'metrics': ['mae'], 'optimizer':"
                         " {'type': 'adafactor', 'use_ema': true, 'gradient_accumulation_steps': 2}}"));
  CHECK(lstm_train(model, &data.x, &data.y, &options, NULL) == LSTM_STOPPED);
  OK(lstm_save(model, path, 0));
}

static void make_files(void) {
  lstm_model *numbers = make_numbers(NULL), *text = make_text(NULL);
  OK(lstm_save(numbers, "numbers.safetensors", 0));
  OK(lstm_save(numbers, "weights.safetensors", LSTM_SAVE_WEIGHTS_ONLY));
  OK(lstm_save(text, "text.safetensors", 0));
  save_in_the_middle("begun.safetensors");
  lstm_model *compressed;
  OK(lstm_compress(numbers, LSTM_BF16, &compressed));
  OK(lstm_save(compressed, "bf16.safetensors", 0));
  OK(lstm_compress(numbers, LSTM_INT8, &compressed));
  OK(lstm_save(compressed, "int8.safetensors", 0));
}

int main(int count, char **arguments) {
  if (count < 3) return 2;
  open_library(arguments[1]);
  make_data();
  make_guarded_room();
  if (strcmp(arguments[2], "make") == 0) make_files();
  if (strcmp(arguments[2], "raw") == 0) damage_raw(arguments[3]);
  if (strcmp(arguments[2], "corpus") == 0) load_corpus(arguments[3]);
  printf("loads=%ld accepted=%ld\n", shared->done, shared->accepted);
  return 0;
}

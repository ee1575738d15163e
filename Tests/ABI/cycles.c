/* A thousand times: load the library, use it, unload it. Memory stays flat, nothing stays mapped, no thread key is
 * lost. Usage: cycles LIBRARY COUNT */
#include <lstm_dl.h>

#include "support.h"

#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

static long resident_kilobytes(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file && fscanf(file, "%*s %ld", &pages) == 1);
  fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int is_mapped(const char *name) {
  char line[4096];
  int found = 0;
  FILE *file = fopen("/proc/self/maps", "r");
  CHECK(file != NULL);
  while (fgets(line, sizeof line, file)) found |= strstr(line, name) != NULL;
  fclose(file);
  return found;
}

/* Thread keys are a table of 1024 for the whole process: counts those that are left. */
static int free_thread_keys(void) {
  pthread_key_t keys[2048];
  int count = 0;
  while (count < 2048 && pthread_key_create(&keys[count], NULL) == 0) count++;
  for (int i = 0; i < count; i++) pthread_key_delete(keys[i]);
  return count;
}

static void use(void) {
  float y[ROWS * OUTPUTS], step[FEATURES] = {0};
  lstm_model *loaded, *text;
  lstm_predictor *predictor;
  lstm_stream *stream;
  make_data();
  lstm_model *model = make_numbers(NULL);
  OK(lstm_predict(model, &data.x, NULL, y, ROWS * OUTPUTS, NULL));
  OK(lstm_predictor_create(model, 2, &predictor));
  OK(lstm_predictor_run(predictor, &data.x, y, ROWS * OUTPUTS, NULL));
  lstm_predictor_free(predictor);
  const blob saved = save_blob(model);
  OK(lstm_load_buffer(saved.bytes, saved.count, NULL, &loaded));
  OK(lstm_stream_create(loaded, &stream));
  OK(lstm_stream_step(stream, step, FEATURES, y, OUTPUTS));
  CHECK(lstm_create("{'layers': 3}", NULL, &text) == LSTM_ERR_ARG); /* a failure must not leak either */
  text = make_text(NULL);
  lstm_free(text);
  lstm_stream_free(stream);
  lstm_free(loaded);
  lstm_free(model);
  free(saved.bytes);
}

int main(int count, char **arguments) {
  struct mallinfo2 first = {0}, last;
  long resident = 0;
  if (count != 3) return 2;
  const int keys = free_thread_keys(), cycles = atoi(arguments[2]);
  for (int i = 0; i < cycles; i++) {
    void *library = open_library(arguments[1]);
    use();
    CHECK(is_mapped("liblstm") || is_mapped(strrchr(arguments[1], '/')));
    if (dlclose(library) != 0) return 3;
    if (is_mapped(strrchr(arguments[1], '/'))) return puts("STILL MAPPED"), 1;
    if (i == cycles / 10) resident = resident_kilobytes(), first = mallinfo2();
  }
  last = mallinfo2();
  printf("rss_growth=%ld\nheap_growth=%ld\n", resident_kilobytes() - resident,
         (long)last.uordblks - (long)first.uordblks);
  printf("keys_lost=%d\n", keys - free_thread_keys());
  return 0;
}

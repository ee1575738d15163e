/* The text of the last error belongs to the thread that failed, is "" before the first failure, and stays through calls
 * that succeed. */
#include <lstm_dl.h>

#include "support.h"

#include <pthread.h>

static void *fail_elsewhere(void *user) {
  (void)user;
  CHECK(strcmp(lstm_last_error(), "") == 0);
  CHECK(lstm_compile(NULL, "{}") == LSTM_ERR_ARG);
  CHECK(strstr(lstm_last_error(), "model") != NULL);
  return NULL;
}

int main(int count, char **arguments) {
  char text[512];
  pthread_t thread;
  if (count != 2) return 2;
  open_library(arguments[1]);
  CHECK(strcmp(lstm_last_error(), "") == 0);
  CHECK(lstm_use_kernels("none") == LSTM_ERR_ARG);
  CHECK(strlen(lstm_last_error()) < sizeof text);
  strcpy(text, lstm_last_error());
  CHECK(pthread_create(&thread, NULL, fail_elsewhere, NULL) == 0 && pthread_join(thread, NULL) == 0);
  OK(lstm_use_kernels("baseline"));
  CHECK(strcmp(lstm_last_error(), text) == 0);
  return 0;
}

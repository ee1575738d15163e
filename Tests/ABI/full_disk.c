/* Saves where there is no room: on a full file system ("disk"), or past the limit of a file's size ("limit"). The old
 * file stays, no other file is left, and the error's text is printed. */
#include <lstm_dl.h>

#include "support.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

static int files(void) {
  int count = 0;
  DIR *folder = opendir(".");
  while (readdir(folder)) count++;
  closedir(folder);
  return count - 2;
}

int main(int count, char **arguments) {
  const struct rlimit limit = {32768, 32768};
  lstm_model *small, *large, *loaded;
  if (count != 3) return 2;
  open_library(arguments[1]);
  make_data();
  small = make_numbers(NULL);
  OK(lstm_create("{'input_shape': [null, 3], 'layers': [{'type': 'lstm', 'units': 100}]}", NULL, &large));
  OK(lstm_save(small, "model", 0));
  if (strcmp(arguments[2], "limit") == 0) {
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  CHECK(lstm_save(large, "model", 0) == LSTM_ERR_IO);
  printf("%s\n", lstm_last_error());
  CHECK(files() == 1);
  OK(lstm_load("model", NULL, &loaded));
  CHECK(equal_blobs(save_blob(loaded), save_blob(small)));
  return 0;
}

/* Opens the library once and says how long that took, and how the library describes itself. */
#include <lstm_dl.h>

#include <time.h>

int main(int count, char **arguments) {
  struct timespec begin, end;
  void *library;
  if (count != 2) return 2;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  clock_gettime(CLOCK_MONOTONIC, &end);
  if (!library) return puts(dlerror()), 3;
  open_library(arguments[1]);
  printf("nanoseconds=%ld\n", (end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec);
  printf("version=%s\nbuild_info=%s\nkernels=%s\n", lstm_version(), lstm_build_info(), lstm_kernels());
  return 0;
}

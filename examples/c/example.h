/* What the examples share: the one way they answer an error, and arrays in one line. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <lstm.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program with the library's own words if a call failed. Codes above zero are good news. */
#define CHECK(call)                                                                                                    \
  do {                                                                                                                 \
    if ((call) < 0) {                                                                                                  \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, lstm_last_error());                                           \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

/* A view of row-major data with up to three axes; an axis of 0 and those after it do not exist. */
static inline lstm_array view(uint32_t type, const void *data, int64_t axis0, int64_t axis1, int64_t axis2) {
  int64_t shape[3] = {axis0, axis1, axis2};
  lstm_array array;
  CHECK(lstm_array_init(&array, sizeof array, type, data, axis1 == 0 ? 1 : axis2 == 0 ? 2 : 3, shape));
  return array;
}

#endif

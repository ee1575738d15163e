// What the checks of the kernels share. Each check runs one set's kernels against loops in double and returns how many
// numbers were wrong.
#ifndef CHECK_H
#define CHECK_H

#include "lstm_kernels.h"

#include <stdint.h>
#include <stdlib.h>

int check_products(const lstm_kernel_table *set);
int check_cells(const lstm_kernel_table *set);
int check_split_cells(const lstm_kernel_table *set);
int check_compressed(const lstm_kernel_table *set);
int check_activations(const lstm_kernel_table *set);
int check_optimizers(const lstm_kernel_table *set);

enum { KINDS = LSTM_SOFTPLUS + 1 };

// The activation in double.
double activation(uint32_t kind, double x);

// The next numbers of a fixed sequence, evenly spread over (-1, 1), in memory of just that size.
float *random_floats(size_t count);

// 1 if `got` is further than `tolerance` from `want`, or NaN, and says so.
int is_wrong(const char *what, double got, double want, double tolerance);

#endif

// What check.h promises to the checks.
#include "check.h"

#include <math.h>
#include <stdio.h>

double activation(uint32_t kind, double x) {
  switch (kind) {
  case LSTM_SIGMOID:
    return 1 / (1 + exp(-x));
  case LSTM_TANH:
    return tanh(x);
  case LSTM_RELU:
    return fmax(x, 0);
  case LSTM_HARD_SIGMOID:
    return fmin(fmax((x + 3) / 6, 0), 1);
  case LSTM_ELU:
    return x > 0 ? x : expm1(x);
  case LSTM_GELU:
    return 0.5 * x * erfc(-x / sqrt(2));
  case LSTM_SILU:
    return x / (1 + exp(-x));
  case LSTM_SOFTPLUS:
    return fmax(x, 0) + log1p(exp(-fabs(x)));
  default:
    return x;
  }
}

float *random_floats(size_t count) {
  static uint64_t state = 1;
  float *floats = malloc(count ? count * sizeof *floats : 1);
  if (!floats) exit(2);
  for (size_t i = 0; i < count; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u; // Knuth's MMIX generator
    floats[i] = (float)(int32_t)(state >> 32) * 0x1p-31f;
  }
  return floats;
}

int is_wrong(const char *what, double got, double want, double tolerance) {
  static int said;
  if (fabs(got - want) <= tolerance) return 0;
  if (said++ < 20) printf("%s: got %.9g, want %.9g\n", what, got, want);
  return 1;
}

// The activations with their slopes, and the update rules of the optimizers.
#include "check.h"

#include <math.h>
#include <string.h>

int check_activations(const lstm_kernel_table *set) {
  enum { COUNT = 20011 }; // no multiple of a vector
  int wrong = 0;
  float *x = random_floats(COUNT), *dy = random_floats(COUNT), *y = random_floats(COUNT), *dx = random_floats(COUNT);
  for (size_t i = 0; i < COUNT; i++) x[i] *= i % 4 ? 6 : 90;
  for (uint32_t kind = 0; kind < KINDS; kind++) {
    set->activate(kind, COUNT, x, y);
    set->activate_backward(kind, COUNT, x, y, dy, dx);
    for (size_t i = 0; i < COUNT; i++) {
      const double want = activation(kind, x[i]);
      wrong += is_wrong("activation", y[i], want, 3 * fmax(fabs(want) * 0x1p-23, 0x1p-149));
      // At a corner the difference is that of neither side.
      const double at = x[i], corner = kind == LSTM_HARD_SIGMOID ? fabs(at) - 3 : at;
      if ((kind == LSTM_RELU || kind == LSTM_HARD_SIGMOID) && fabs(corner) < 1e-5) continue;
      const double slope = (activation(kind, at + 1e-5) - activation(kind, at - 1e-5)) / 2e-5;
      wrong += is_wrong("slope", dx[i], dy[i] * slope, 2e-6);
    }
  }
  free(x);
  free(dy);
  free(y);
  free(dx);
  return wrong;
}

typedef struct weight {
  double w, m, v, extra;
} weight;

static weight sgd(const lstm_update *u, weight a, double g) {
  const double step = u->rate * g;
  if (u->momentum == 0) return (weight){a.w - step, a.m, a.v, a.extra};
  a.m = u->momentum * a.m - step;
  a.w += u->nesterov ? u->momentum * a.m - step : a.m;
  return a;
}

static weight rmsprop(const lstm_update *u, weight a, double g) {
  a.v = u->rho * a.v + (1 - (double)u->rho) * g * g;
  if (u->centered) a.extra = u->rho * a.extra + (1 - (double)u->rho) * g;
  double step = u->rate * g / sqrt(a.v - (u->centered ? a.extra * a.extra : 0) + u->epsilon);
  if (u->momentum != 0) step = a.m = u->momentum * a.m + step;
  a.w -= step;
  return a;
}

static weight adam(const lstm_update *u, weight a, double g) {
  a.m += (g - a.m) * (1 - (double)u->beta_1);
  a.v += (g * g - a.v) * (1 - (double)u->beta_2);
  if (u->amsgrad) a.extra = fmax(a.extra, a.v);
  a.w -= u->rate * a.m / (sqrt(u->amsgrad ? a.extra : a.v) + u->epsilon);
  return a;
}

static weight adagrad(const lstm_update *u, weight a, double g) {
  a.v += g * g;
  a.w -= u->rate * g / sqrt(a.v + u->epsilon);
  return a;
}

// One step of a rule, for every setting that it has.
static int check_rule(void (*kernel)(const lstm_update *), weight (*rule)(const lstm_update *, weight, double)) {
  enum { COUNT = 37 };
  int wrong = 0;
  for (uint32_t setting = 0; setting < 4; setting++) {
    float *now[5], old[4][COUNT]; // w, m, v, extra and the gradient
    for (int i = 0; i < 5; i++) now[i] = random_floats(COUNT);
    for (size_t i = 0; i < COUNT; i++) now[2][i] = 1.5f + now[2][i] / 4; // above the square of every mean
    for (int i = 0; i < 4; i++) memcpy(old[i], now[i], sizeof old[i]);
    const lstm_update u = {.count = COUNT,
                           .w = now[0],
                           .m = now[1],
                           .v = now[2],
                           .extra = now[3],
                           .g = now[4],
                           .rate = 0.05f,
                           .decay = 0.01f,
                           .momentum = setting & 2 ? 0.9f : 0,
                           .rho = 0.9f,
                           .beta_1 = 0.9f,
                           .beta_2 = 0.99f,
                           .epsilon = 1e-6f,
                           .nesterov = setting & 1,
                           .centered = setting & 1,
                           .amsgrad = setting & 1};
    kernel(&u);
    for (size_t i = 0; i < COUNT; i++) {
      const weight before = {old[0][i] * (1 - (double)u.decay), old[1][i], old[2][i], old[3][i]};
      const weight want = rule(&u, before, now[4][i]);
      wrong += is_wrong("weight", now[0][i], want.w, 3e-7) + is_wrong("m", now[1][i], want.m, 3e-7);
      wrong += is_wrong("v", now[2][i], want.v, 3e-7) + is_wrong("extra", now[3][i], want.extra, 3e-7);
    }
    for (int i = 0; i < 5; i++) free(now[i]);
  }
  return wrong;
}

int check_optimizers(const lstm_kernel_table *set) {
  return check_rule(set->sgd, sgd) + check_rule(set->rmsprop, rmsprop) + check_rule(set->adam, adam) +
         check_rule(set->adagrad, adagrad);
}

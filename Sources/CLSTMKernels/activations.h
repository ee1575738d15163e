// The activations, their slopes, softmax and its loss. Errors are the worst over all floats on x86-64, against float64; 1 ulp is the
// distance between neighbouring floats at the result.

// -x = n ln 2 + r with |r| <= ln(2)/2, so e^-x = 2^n e^r, for |x| < 128; for NaN, r is NaN. Most callers want the
// exponential of a negative number: that of -x costs them no negation, nor does -r.
typedef struct reduced {
  vf power; // 2^(n + lift)
  vf minus_r;
} reduced;

// Adding it rounds to an integer, and leaves that in the low bits.
#define ROUNDING 0x1.8p23f

INLINE reduced reduce(vf x, const int lift) {
  const vf rounded = muladd(x, -0x1.715476p0f, ROUNDING + lift);
  const vf n = rounded - (ROUNDING + lift);
  // ln 2 in two parts, the first so short that n times it is exact without fused multiply-add too.
  return (reduced){.power = (vf)(((vi)rounded << 23) + (127 << 23)),
                   .minus_r = muladd(n, -0x1.bd0106p-13f, muladd(n, 0x1.63p-1f, x))};
}

// e^r - 1 = r + r^2 q(r). The coefficients here and below are fitted by Tests/LSTMKernelsTests/fit_polynomials.py.
INLINE vf tail(vf minus_r) {
  const vf r2 = minus_r * minus_r;
  const vf low = muladd(minus_r, -0x1.5554b4p-3f, 0x1.fffffep-2f);
  const vf high = muladd(minus_r, -0x1.122538p-7f, 0x1.5556f6p-5f);
  const vf q = muladd(muladd(r2, 0x1.6b97a6p-10f, high), r2, low);
  return muladd(r2, q, -minus_r);
}

INLINE vf at_least(float limit, vf x) { return x < limit ? (vf)limit : x; }
INLINE vf at_most(float limit, vf x) { return x > limit ? (vf)limit : x; }
INLINE vf magnitude(vf x) { return __builtin_elementwise_abs(x); }

// e^-x for x >= 0, raised to 2^64 e^-x first: what is to be a denormal number is then rounded once.
INLINE vf exp_minus(vf x) {
  const reduced e = reduce(at_most(110, x), 64);
  return muladd(e.power, tail(e.minus_r), e.power) * 0x1p-64f;
}

// e^-x - 1 for x >= 0; past 40 it is -1. 1.1 ulp.
INLINE vf expm1_minus(vf x) {
  const reduced e = reduce(at_most(40, x), 0);
  return muladd(e.power, tail(e.minus_r), e.power - 1);
}

// 1 + e^-x times 2^lift, which is `one`. Its two sums round in such a way that x / (1 + e^-x) stays below 2 ulp for any
// x: 2^n tail is exact, and where 2^n is small the second sum is exact or a tie.
INLINE vf one_plus_exp_minus(vf x, const int lift, float one) {
  const reduced e = reduce(x, lift);
  return e.power + muladd(e.power, tail(e.minus_r), one);
}

// 1 / (1 + e^-x), everything times 2^-30: so 1 + e^104 is no overflow. 2.0 ulp.
INLINE vf sigmoid(vf x) { return 0x1p-30f / one_plus_exp_minus(at_most(60, at_least(-104, x)), -30, 0x1p-30f); }

// x / (1 + e^-x); the sum times 2^-40, else 1 + e^110 would be an overflow. 2.0 ulp.
INLINE vf silu(vf x) {
  const vf near = at_most(40, at_least(-110, x));
  return x > 40 ? x : near / one_plus_exp_minus(near, -40, 0x1p-40f) * 0x1p-40f;
}

// |x| = n ln(2)/2 + s and u = tanh s; p = 2^-n makes tanh(n ln(2)/2) = (1 - p) / (1 + p). The theorem of addition, less
// 1 - p, which is exact and so near the result that errors of the rest weigh little:
//     tanh |x| = (1 - p) + p ((3 - p) u - (1 - p)) / ((1 + p) + (1 - p) u)
// n is 0 up to |x| = 0.3, where this is u. 1.5 ulp.
INLINE vf hyperbolic_tangent(vf x) {
  const vf near = at_most(10, magnitude(x));
  const vf rounded = muladd(near, 0x1.715476p1f, -0.375f) + ROUNDING, n = rounded - ROUNDING;
  const vf s = muladd(n, 0x1.bd0106p-14f, muladd(n, -0x1.63p-2f, near)), s2 = s * s;
  const vf p = (vf)((127 << 23) - ((vi)rounded << 23)), base = 1 - p;
  const vf c = muladd(muladd(s2, -0x1.9bf898p-5f, 0x1.10abcap-3f), s2, -0x1.555492p-2f);
  const vf u = muladd(s * s2, c, s);
  const vf rest = muladd(3 - p, u, -base) / muladd(base, u, 1 + p);
  return __builtin_elementwise_copysign(muladd(p, rest, base), x);
}

// As sigmoid, with e^r in a shorter polynomial 1 + r + r^2 q(r), whose parts meet as late as they can. 3.5 ulp.
INLINE vf fast_sigmoid(vf x) {
  const reduced e = reduce(at_most(60, at_least(-104, x)), -30);
  const vf r2 = e.minus_r * e.minus_r;
  const vf low = muladd(e.minus_r, -0x1.5557acp-3f, 0x1.fffdfcp-2f);
  const vf high = muladd(e.minus_r, -0x1.1063f8p-7f, 0x1.572a1ap-5f);
  const vf line = muladd(e.power, 1 - e.minus_r, 0x1p-30f);
  return 0x1p-30f / muladd(e.power * r2, muladd(high, r2, low), line);
}

// A fraction of polynomials, never past 1. 4.5 ulp; without fused multiply-add it would be 5.5, so that there it is exact.
INLINE vf fast_hyperbolic_tangent(vf x) {
#if FMA
  const vf near = at_most(8.04f, at_least(-8.04f, x)), z = near * near, z2 = z * z;
  const vf p_high = muladd(muladd(z, 0x1.87bad2p-26f, 0x1.135caep-15f), z, 0x1.5f1316p-8f);
  const vf q_high = muladd(muladd(z, 0x1.56cde6p-20f, 0x1.0c37f4p-11f), z, 0x1.417ffp-5f);
  const vf p = muladd(p_high, z2, muladd(z, 0x1.9d02d6p-3f, 1.5f));
  return near * p / muladd(q_high, z2, muladd(z, 0x1.6740b4p-1f, 1.5f));
#else
  return hyperbolic_tangent(x);
#endif
}

// f of each lane, for functions that only libm has. A loop, not VL calls one after the other.
INLINE vf each_lane(float (*f)(float), vf x) {
  float lane[VL];
  store(lane, x);
#pragma clang loop unroll(disable)
  for (int l = 0; l < VL; l++) lane[l] = f(lane[l]);
  return load(lane);
}

static double normal_distribution(double x) { return 0.5 * erfc(-0x1.6a09e667f3bcdp-1 * x); }

// In double and by erfc: 1 + erff keeps no digits where x is negative. Past 40 the limits are reached, and infinity, whose
// product with 0 is none of them, is kept away. 0.5 ulp.
static float gelu_of_lane(float x) {
  const double at = x < -40 ? -40 : x;
  return (float)(at * normal_distribution(at));
}

static float gelu_slope_of_lane(float x) {
  const double at = x < -40 ? -40 : x > 40 ? 40 : x, density = 0x1.9884533d43651p-2 * exp(-0.5 * at * at);
  return (float)(normal_distribution(at) + at * density);
}

// log(1 + e^x). 1.7 ulp.
INLINE vf softplus(vf x) { return at_least(0, x) + each_lane(log1pf, exp_minus(magnitude(x))); }

// clang-format off
// f(x); elu is expm1(x) for negative x. (x + 3) / 6 is x / 6 + 1/2 without its cancellation.
INLINE vf activation(uint32_t kind, vf x) {
  switch (kind) {
  case LSTM_SIGMOID: return sigmoid(x);
  case LSTM_TANH: return hyperbolic_tangent(x);
  case LSTM_RELU: return at_least(0, x);
  case LSTM_HARD_SIGMOID: return at_most(1, at_least(0, (x + 3) / 6));
  case LSTM_ELU: return x > 0 ? x : expm1_minus(-x);
  case LSTM_GELU: return each_lane(gelu_of_lane, x);
  case LSTM_SILU: return silu(x);
  case LSTM_SOFTPLUS: return softplus(x);
  case LSTM_FAST_SIGMOID: return fast_sigmoid(x);
  case LSTM_FAST_TANH: return fast_hyperbolic_tangent(x);
  default: return x;
  }
}

// f'(x), where y = f(x); at a corner the slope on the flat side.
INLINE vf slope(uint32_t kind, vf x, vf y) {
  switch (kind) {
  case LSTM_SIGMOID:
  case LSTM_FAST_SIGMOID: return y * (1 - y);
  case LSTM_TANH:
  case LSTM_FAST_TANH: return 1 - y * y;
  case LSTM_RELU: return x <= 0 ? (vf)0 : (vf)1;
  case LSTM_HARD_SIGMOID: return magnitude(x) >= 3 ? (vf)0 : (vf)(1 / 6.0f);
  case LSTM_ELU: return x > 0 ? (vf)1 : y + 1;
  case LSTM_GELU: return each_lane(gelu_slope_of_lane, x);
  case LSTM_SILU: {
    // sigmoid(x) and 1 - sigmoid(x): the smaller keeps its digits, for y may be large.
    const vf less = sigmoid(-magnitude(x)), more = 1 - less;
    return x > 0 ? muladd(y, less, more) : muladd(y, more, less);
  }
  case LSTM_SOFTPLUS: return sigmoid(x);
  default: return 1;
  }
}
// clang-format on

// The same for a kind known only at run time, compiled once.
static __attribute__((noinline)) vf any_activation(uint32_t kind, vf x) { return activation(kind, x); }
static __attribute__((noinline)) vf any_slope(uint32_t kind, vf x, vf y) { return slope(kind, x, y); }

// clang-format off
// Calls f(kind, ...) with `kind` a constant, so that its loop is compiled for each kind.
#define WITH_CONSTANT_KIND(kind, f, ...)                                                                               \
  switch (kind) {                                                                                                      \
  case LSTM_SIGMOID: f(LSTM_SIGMOID, __VA_ARGS__); break;                                                              \
  case LSTM_TANH: f(LSTM_TANH, __VA_ARGS__); break;                                                                    \
  case LSTM_RELU: f(LSTM_RELU, __VA_ARGS__); break;                                                                    \
  case LSTM_HARD_SIGMOID: f(LSTM_HARD_SIGMOID, __VA_ARGS__); break;                                                    \
  case LSTM_ELU: f(LSTM_ELU, __VA_ARGS__); break;                                                                      \
  case LSTM_GELU: f(LSTM_GELU, __VA_ARGS__); break;                                                                    \
  case LSTM_SILU: f(LSTM_SILU, __VA_ARGS__); break;                                                                    \
  case LSTM_SOFTPLUS: f(LSTM_SOFTPLUS, __VA_ARGS__); break;                                                            \
  case LSTM_FAST_SIGMOID: f(LSTM_FAST_SIGMOID, __VA_ARGS__); break;                                                    \
  case LSTM_FAST_TANH: f(LSTM_FAST_TANH, __VA_ARGS__); break;                                                          \
  default: f(LSTM_LINEAR, __VA_ARGS__); break;                                                                         \
  }
// clang-format on

INLINE void activate_all(const uint32_t kind, size_t n, const float *x, float *y) {
  FOR_VECTORS(i, m, n) store_first(y + i, m, activation(kind, load_first(x + i, m)));
}

static void activate(uint32_t kind, size_t n, const float *x, float *y) {
  WITH_CONSTANT_KIND(kind, activate_all, n, x, y);
}

INLINE void activate_backward_all(const uint32_t kind, size_t n, const float *x, const float *y, const float *dy,
                                  float *dx) {
  FOR_VECTORS(i, m, n) {
    store_first(dx + i, m, load_first(dy + i, m) * slope(kind, load_first(x + i, m), load_first(y + i, m)));
  }
}

static void activate_backward(uint32_t kind, size_t n, const float *x, const float *y, const float *dy, float *dx) {
  WITH_CONSTANT_KIND(kind, activate_backward_all, n, x, y, dy, dx);
}

// The largest number that is not NaN.
INLINE float greatest(size_t n, const float *x) {
  vf most = -INFINITY;
  FOR_VECTORS(i, m, n) {
    const vf at = with_rest(-INFINITY, m, load_first(x + i, m));
    most = at > most ? at : most;
  }
  float max = most[0];
  for (int l = 1; l < VL; l++) max = most[l] > max ? most[l] : max;
  return max;
}

static void softmax(size_t rows, size_t width, const float *x, float *y) {
  for (size_t r = 0; r < rows; r++, x += width, y += width) {
    const float max = greatest(width, x);
    vf sums = 0;
    FOR_VECTORS(i, m, width) {
      const vf e = exp_minus(max - load_first(x + i, m));
      sums += with_rest(0, m, e);
      store_first(y + i, m, e);
    }
    const float sum = sum_of_lanes(sums);
    FOR_VECTORS(i, m, width) store_first(y + i, m, load_first(y + i, m) / sum);
  }
}

// The exponentials of one row to dx, unless NULL; in `rest` their sum without that of one largest number, which is 1.
INLINE void exponentials(size_t width, const float *x, float max, float *dx, double *rest) {
  vd sums = 0;
  vf largest = 0;
  FOR_VECTORS(i, m, width) {
    const vf at = with_rest(-INFINITY, m, load_first(x + i, m)), e = exp_minus(max - at);
    sums += __builtin_convertvector(at == max ? (vf)0 : e, vd);
    largest += at == max ? (vf)1 : (vf)0;
    if (dx) store_first(dx + i, m, e);
  }
  *rest = sum_of_doubles(&sums) + (sum_of_lanes(largest) - 1);
}

static void softmax_cross_entropy(size_t rows, size_t width, const float *x, const int32_t *labels,
                                  const float *weights, float *dx, double *losses) {
  for (size_t r = 0; r < rows; r++, x += width) {
    float *const row = dx ? dx + r * width : NULL;
    const double weight = weights[r];
    losses[r] = 0;
    if (weight == 0) {
      if (row) FOR_VECTORS(i, m, width) store_first(row + i, m, 0);
      continue;
    }
    const float max = greatest(width, x), at_label = x[labels[r]];
    double rest;
    exponentials(width, x, max, row, &rest);
    losses[r] = log1p(rest) - ((double)at_label - max);
    if (row) {
      // p - 1 in double, where p may be so near 1 that a float has no digits for the difference.
      const double slope = (row[labels[r]] - 1.0 - rest) / (1 + rest);
      const float factor = (float)(weight / (1 + rest));
      FOR_VECTORS(i, m, width) store_first(row + i, m, load_first(row + i, m) * factor);
      row[labels[r]] = (float)(weight * slope);
    }
  }
}

static float dot(size_t n, const float *a, const float *b) {
  vf sums = 0;
  FOR_VECTORS(i, m, n) sums = muladd(load_first(a + i, m), load_first(b + i, m), sums);
  return sum_of_lanes(sums);
}

static void softmax_backward(size_t rows, size_t width, const float *y, const float *dy, float *dx) {
  for (size_t r = 0; r < rows; r++, y += width, dy += width, dx += width) {
    const float sum = dot(width, dy, y);
    FOR_VECTORS(i, m, width) store_first(dx + i, m, load_first(y + i, m) * (load_first(dy + i, m) - sum));
  }
}

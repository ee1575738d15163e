// The activations, their slopes and softmax. Errors are the worst over all floats on x86-64, against float64; 1 ulp is the
// distance between neighbouring floats at the result.

// x = n ln 2 + r with |r| <= ln(2)/2, so e^x = 2^n (1 + tail), for |x| < 128; for NaN, tail is NaN.
typedef struct reduced {
  vf power; // 2^(n + lift)
  vf tail;  // e^r - 1 = r + r^2 q(r); q is fitted by Tests/LSTMKernelsTests/fit_polynomials.py
} reduced;

INLINE reduced reduce(vf x, const int lift) {
  // Adding 1.5 x 2^23 rounds to an integer, and leaves it in the low bits.
  const vf magic = 0x1.8p23f + lift;
  const vf rounded = muladd(x, 0x1.715476p0f, magic);
  const vf n = rounded - magic;
  // ln 2 in two parts, the first so short that n times it is exact without fused multiply-add too.
  const vf r = muladd(n, 0x1.bd0106p-13f, muladd(n, -0x1.63p-1f, x)), r2 = r * r;
  const vf low = muladd(r, 0x1.5554b4p-3f, 0x1.fffffep-2f), high = muladd(r, 0x1.122538p-7f, 0x1.5556f6p-5f);
  const vf q = muladd(muladd(r2, 0x1.6b97a6p-10f, high), r2, low);
  return (reduced){(vf)(((vi)rounded << 23) + (127 << 23)), muladd(r2, q, r)};
}

INLINE vf raised(reduced e) { return muladd(e.power, e.tail, e.power); }

INLINE vf at_least(float limit, vf x) { return x < limit ? (vf)limit : x; }
INLINE vf at_most(float limit, vf x) { return x > limit ? (vf)limit : x; }
INLINE vf magnitude(vf x) { return __builtin_elementwise_abs(x); }

// e^x for x <= 0, raised to 2^64 e^x first: what is to be a denormal number is then rounded once.
INLINE vf exp_nonpositive(vf x) { return raised(reduce(at_least(-110, x), 64)) * 0x1p-64f; }

// e^x - 1 for x <= 0; past -40 it is -1. 1.1 ulp.
INLINE vf expm1_nonpositive(vf x) {
  const reduced e = reduce(at_least(-40, x), 0);
  return muladd(e.power, e.tail, e.power - 1);
}

// e^x / (1 + e^x), everything times 2^30: so 1 + e^60 is no overflow and e^-104 no denormal number.
// 2.5 ulp.
INLINE vf sigmoid(vf x) {
  const vf e = raised(reduce(at_most(60, at_least(-104, x)), 30));
  return e / (0x1p30f + e);
}

// tanh |x| = y / (2 - y), y = 1 - e^(-2|x|): as exact near 0 as expm1. 2.5 ulp.
INLINE vf hyperbolic_tangent(vf x) {
  const vf minus_y = expm1_nonpositive(-2 * magnitude(x));
  return __builtin_elementwise_copysign(minus_y / (2 + minus_y), x);
}

// x / (1 + e^-x); the sum times 2^-40, else 1 + e^110 would be an overflow. 2.5 ulp.
INLINE vf silu(vf x) {
  const vf near = at_most(40, at_least(-110, x)), e = raised(reduce(-near, -40));
  return x > 40 ? x : near / (0x1p-40f + e) * 0x1p-40f;
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
INLINE vf softplus(vf x) { return at_least(0, x) + each_lane(log1pf, exp_nonpositive(-magnitude(x))); }

// clang-format off
// f(x); elu is expm1(x) for negative x. (x + 3) / 6 is x / 6 + 1/2 without its cancellation.
INLINE vf activation(uint32_t kind, vf x) {
  switch (kind) {
  case LSTM_SIGMOID: return sigmoid(x);
  case LSTM_TANH: return hyperbolic_tangent(x);
  case LSTM_RELU: return at_least(0, x);
  case LSTM_HARD_SIGMOID: return at_most(1, at_least(0, (x + 3) / 6));
  case LSTM_ELU: return x > 0 ? x : expm1_nonpositive(x);
  case LSTM_GELU: return each_lane(gelu_of_lane, x);
  case LSTM_SILU: return silu(x);
  case LSTM_SOFTPLUS: return softplus(x);
  default: return x;
  }
}

// f'(x), where y = f(x); at a corner the slope on the flat side.
INLINE vf slope(uint32_t kind, vf x, vf y) {
  switch (kind) {
  case LSTM_SIGMOID: return y * (1 - y);
  case LSTM_TANH: return 1 - y * y;
  case LSTM_RELU: return x <= 0 ? (vf)0 : (vf)1;
  case LSTM_HARD_SIGMOID: return magnitude(x) >= 3 ? (vf)0 : (vf)(1 / 6.0f);
  case LSTM_ELU: return x > 0 ? (vf)1 : y + 1;
  case LSTM_GELU: return each_lane(gelu_slope_of_lane, x);
  case LSTM_SILU: {
    const vf s = sigmoid(x);
    return s + y * (1 - s);
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

static void softmax(size_t rows, size_t width, const float *x, float *y) {
  for (size_t r = 0; r < rows; r++, x += width, y += width) {
    vf greatest = -INFINITY;
    FOR_VECTORS(i, m, width) {
      const vf at = with_rest(-INFINITY, m, load_first(x + i, m));
      greatest = at > greatest ? at : greatest;
    }
    float max = greatest[0];
    for (int l = 1; l < VL; l++) max = greatest[l] > max ? greatest[l] : max;

    vf sums = 0;
    FOR_VECTORS(i, m, width) {
      const vf e = exp_nonpositive(load_first(x + i, m) - max);
      sums += with_rest(0, m, e);
      store_first(y + i, m, e);
    }
    const float sum = sum_of_lanes(sums);
    FOR_VECTORS(i, m, width) store_first(y + i, m, load_first(y + i, m) / sum);
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

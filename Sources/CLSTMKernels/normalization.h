// Layer normalization (Ba, Kiros & Hinton 2016): rows of numbers, each made to have the mean 0 and the variance 1.

// What makes a row so: unit = ((x - near) - rest) * scale. The mean is near + rest, in two parts so that a row far from zero
// keeps the digits in which its numbers differ.
typedef struct spread {
  float near, rest, scale;
} spread;

static spread spread_of(size_t width, const float *x, float epsilon) {
  vf sums = 0, rests = 0, squares = 0;
  FOR_VECTORS(i, m, width) sums += load_first(x + i, m);
  const float near = sum_of_lanes(sums) / (float)width;
  FOR_VECTORS(i, m, width) {
    const vf far = with_rest(0, m, load_first(x + i, m) - near);
    rests += far;
    squares = muladd(far, far, squares);
  }
  const float rest = sum_of_lanes(rests) / (float)width;
  const float variance = sum_of_lanes(squares) / (float)width - rest * rest;
  const vf root = __builtin_elementwise_sqrt(at_least(0, (vf)variance) + epsilon);
  return (spread){near, rest, 1 / root[0]};
}

static void normalize_rows(size_t rows, size_t width, float epsilon, const float *x, const float *gamma,
                           const float *beta, float *unit, float *scale, float *y) {
  for (size_t r = 0; r < rows; r++, x += width, unit += width, y += width) {
    const spread own = spread_of(width, x, epsilon);
    if (scale) scale[r] = own.scale;
    FOR_VECTORS(i, m, width) {
      const vf at = (load_first(x + i, m) - own.near - own.rest) * own.scale;
      store_first(unit + i, m, at);
      store_first(y + i, m, muladd(at, load_first(gamma + i, m), load_first(beta + i, m)));
    }
  }
}

static void normalize_rows_backward(size_t rows, size_t width, const float *unit, const float *scale,
                                    const float *gamma, const float *dy, float *dx) {
  for (size_t r = 0; r < rows; r++, unit += width, dy += width, dx += width) {
    vf sums = 0, products = 0;
    FOR_VECTORS(i, m, width) {
      const vf g = load_first(dy + i, m) * load_first(gamma + i, m);
      sums += g;
      products = muladd(g, load_first(unit + i, m), products);
    }
    const float mean = sum_of_lanes(sums) / (float)width, along = sum_of_lanes(products) / (float)width;
    FOR_VECTORS(i, m, width) {
      const vf g = load_first(dy + i, m) * load_first(gamma + i, m);
      store_first(dx + i, m, muladd(load_first(unit + i, m), -along, g - mean) * scale[r]);
    }
  }
}

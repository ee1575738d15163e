// The update rules, in the order of operations of keras/src/optimizers (Keras 3) and without fused operations, so every
// set gives the same bits.

INLINE vf decayed(const lstm_update p, size_t i, size_t m) {
  const vf w = load_first(p.w + i, m);
  return w - w * p.decay;
}

static void sgd(const lstm_update *update) {
  const lstm_update p = *update;
  FOR_VECTORS(i, m, p.count) {
    const vf w = decayed(p, i, m), step = load_first(p.g + i, m) * p.rate;
    if (p.momentum != 0) {
      const vf velocity = load_first(p.m + i, m) * p.momentum - step;
      store_first(p.m + i, m, velocity);
      store_first(p.w + i, m, w + (p.nesterov ? velocity * p.momentum - step : velocity));
    } else {
      store_first(p.w + i, m, w - step);
    }
  }
}

static void rmsprop(const lstm_update *update) {
  const lstm_update p = *update;
  const float rest = 1 - p.rho;
  FOR_VECTORS(i, m, p.count) {
    const vf w = decayed(p, i, m), g = load_first(p.g + i, m);
    const vf velocity = p.rho * load_first(p.v + i, m) + rest * (g * g);
    store_first(p.v + i, m, velocity);
    vf variance = velocity;
    if (p.centered) {
      const vf mean = p.rho * load_first(p.extra + i, m) + rest * g;
      store_first(p.extra + i, m, mean);
      variance = velocity - mean * mean;
    }
    vf step = p.rate * g / __builtin_elementwise_sqrt(variance + p.epsilon);
    if (p.momentum != 0) {
      step = p.momentum * load_first(p.m + i, m) + step;
      store_first(p.m + i, m, step);
    }
    store_first(p.w + i, m, w - step);
  }
}

// Both of adam and nadam, of which the compiler makes each without the other.
INLINE void step_adam(const int blends, const lstm_update *update) {
  const lstm_update p = *update;
  const float rest_1 = 1 - p.beta_1, rest_2 = 1 - p.beta_2;
  FOR_VECTORS(i, m, p.count) {
    const vf w = decayed(p, i, m), g = load_first(p.g + i, m);
    vf mean = load_first(p.m + i, m), square = load_first(p.v + i, m);
    mean += (g - mean) * rest_1;
    square += (g * g - square) * rest_2;
    store_first(p.m + i, m, mean);
    store_first(p.v + i, m, square);
    if (p.amsgrad) {
      const vf largest = load_first(p.extra + i, m);
      square = largest > square ? largest : square;
      store_first(p.extra + i, m, square);
    }
    vf step = mean * p.rate;
    if (blends) {
      step += g * p.blend;
      square *= p.correction;
    }
    store_first(p.w + i, m, w - step / (__builtin_elementwise_sqrt(square) + p.epsilon));
  }
}

static void adam(const lstm_update *update) { step_adam(0, update); }
static void nadam(const lstm_update *update) { step_adam(1, update); }

static void adagrad(const lstm_update *update) {
  const lstm_update p = *update;
  FOR_VECTORS(i, m, p.count) {
    const vf w = decayed(p, i, m), g = load_first(p.g + i, m);
    const vf sum = load_first(p.v + i, m) + g * g;
    store_first(p.v + i, m, sum);
    store_first(p.w + i, m, w - p.rate * g / __builtin_elementwise_sqrt(sum + p.epsilon));
  }
}

static void adamax(const lstm_update *update) {
  const lstm_update p = *update;
  const float rest = 1 - p.beta_1;
  FOR_VECTORS(i, m, p.count) {
    const vf w = decayed(p, i, m), g = load_first(p.g + i, m);
    vf mean = load_first(p.m + i, m);
    mean += (g - mean) * rest;
    const vf before = p.beta_2 * load_first(p.v + i, m), now = __builtin_elementwise_abs(g);
    const vf norm = before > now ? before : now;
    store_first(p.m + i, m, mean);
    store_first(p.v + i, m, norm);
    store_first(p.w + i, m, w - mean * p.rate / (norm + p.epsilon));
  }
}

static void adadelta(const lstm_update *update) {
  const lstm_update p = *update;
  const float rest = 1 - p.rho;
  FOR_VECTORS(i, m, p.count) {
    const vf w = decayed(p, i, m), g = load_first(p.g + i, m);
    const vf square = p.rho * load_first(p.v + i, m) + rest * (g * g), way = load_first(p.m + i, m);
    const vf step = __builtin_elementwise_sqrt(way + p.epsilon) * g / __builtin_elementwise_sqrt(square + p.epsilon);
    store_first(p.v + i, m, square);
    store_first(p.m + i, m, p.rho * way + rest * (step * step));
    store_first(p.w + i, m, w - p.rate * step);
  }
}

INLINE vf sign_of(vf x) { return x > 0 ? (vf)1 : x < 0 ? (vf)-1 : (vf)0; }

static void lion(const lstm_update *update) {
  const lstm_update p = *update;
  const float rest_1 = 1 - p.beta_1, rest_2 = 1 - p.beta_2;
  FOR_VECTORS(i, m, p.count) {
    const vf w = decayed(p, i, m), g = load_first(p.g + i, m), mean = load_first(p.m + i, m);
    store_first(p.m + i, m, mean * p.beta_2 + g * rest_2);
    store_first(p.w + i, m, w - p.rate * sign_of(mean * p.beta_1 + g * rest_1));
  }
}

static void ftrl(const lstm_update *update) {
  const lstm_update p = *update;
  FOR_VECTORS(i, m, p.count) {
    const vf w = decayed(p, i, m), g = load_first(p.g + i, m), sum = load_first(p.v + i, m);
    const vf root = __builtin_elementwise_sqrt(sum + g * g);
    const vf sigma = (root - __builtin_elementwise_sqrt(sum)) / p.rate;
    const vf linear = load_first(p.m + i, m) + (g + 2 * p.shrinkage * w - sigma * w);
    const vf curve = root / p.rate + 2 * p.l2, pull = at_most(p.l1, at_least(-p.l1, linear)) - linear;
    store_first(p.v + i, m, sum + g * g);
    store_first(p.m + i, m, linear);
    // Without a gradient so far, and with an accumulator from 0, there is no curve.
    store_first(p.w + i, m, curve > 0 ? pull / curve : w);
  }
}

static double penalize(size_t n, float l1, float l2, const float *w, float *g) {
  vd sums = 0;
  FOR_VECTORS(i, m, n) {
    const vf at = load_first(w + i, m), slope = l1 * sign_of(at);
    if (g) store_first(g + i, m, load_first(g + i, m) + (slope + 2 * l2 * at));
    const vd wide = __builtin_convertvector(at, vd);
    sums += wide * (wide * (double)l2 + __builtin_convertvector(slope, vd));
  }
  return sum_of_doubles(&sums);
}

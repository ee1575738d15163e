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

static void adam(const lstm_update *update) {
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
    store_first(p.w + i, m, w - mean * p.rate / (__builtin_elementwise_sqrt(square) + p.epsilon));
  }
}

static void adagrad(const lstm_update *update) {
  const lstm_update p = *update;
  FOR_VECTORS(i, m, p.count) {
    const vf w = decayed(p, i, m), g = load_first(p.g + i, m);
    const vf sum = load_first(p.v + i, m) + g * g;
    store_first(p.v + i, m, sum);
    store_first(p.w + i, m, w - p.rate * g / __builtin_elementwise_sqrt(sum + p.epsilon));
  }
}

"""Fits the coefficients of Sources/CLSTMKernels/activations.h and prints them. Needs numpy.

Every fit is to the least greatest relative error. Coefficients are rounded to float one at a time, lowest first; those
still free are fitted again after each rounding and make good for it.
"""

from collections.abc import Callable

import numpy as np

# The reductions round r: a little more than half of ln 2 is met.
HALF_LN2 = np.log(2) / 2 * 1.0001
# Where n becomes 1 in `hyperbolic_tangent`: 7/8 of its step of ln(2)/2.
TANH_BOUND = np.log(2) / 2 * 0.875 * 1.0001
# Where `fast_hyperbolic_tangent` ends, and its numerator and denominator at 0. They decide how its roundings fall: with
# these they add up to less than with most others and never pass 1.
FAST_TANH_END, FAST_TANH_START = 8.04, 1.5


def lawson(
    columns: np.ndarray, target: np.ndarray, weight: np.ndarray, denominator: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, float]:
    """Least greatest |weight * (columns @ c - target) / denominator(c)|, by iteratively reweighted least squares."""
    shares, below = np.full(len(target), 1.0 / len(target)), np.ones(len(target))
    best, best_error = np.zeros(columns.shape[1]), np.inf
    for _ in range(150):
        scale = np.sqrt(shares) * weight / below
        scaled = columns * scale[:, None]
        lengths = np.linalg.norm(scaled, axis=0)
        c = np.linalg.lstsq(scaled / lengths, target * scale, rcond=None)[0] / lengths
        below = denominator(c)
        error = np.abs(weight * (columns @ c - target) / below)
        if error.max() < best_error:
            best, best_error = c, error.max()
        shares = np.maximum(shares * error, 1e-13 * (shares * error).sum())
        shares /= shares.sum()
    return best, best_error


def fit(
    name: str,
    names: list[str],
    columns: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    below: np.ndarray | None = None,
    start: float = 1,
) -> None:
    """Prints float coefficients c with which columns @ c is target. A fraction has start + below @ c as denominator."""
    fixed: list[float] = []
    rest, divisor = target, np.full(len(target), start)
    unrounded = 0.0
    for k in range(len(names)):

        def denominator(c: np.ndarray, k: int = k, divisor: np.ndarray = divisor) -> np.ndarray:
            return divisor if below is None else divisor + below[:, k:] @ c

        c, error = lawson(columns[:, k:], rest, weight, denominator)
        unrounded = unrounded or error
        fixed.append(float(np.float32(c[0])))
        rest = rest - columns[:, k] * fixed[-1]
        if below is not None:
            divisor = divisor + below[:, k] * fixed[-1]
    rounded = np.abs(weight * rest / divisor).max()
    print(f"{name}: {rounded * 2**24:.3f} x 2^-24, unrounded {unrounded * 2**24:.3f}")
    for coefficient, value in zip(names, fixed, strict=True):
        print(f"  {coefficient} = {value.hex()}f")


def powers(x: np.ndarray, count: int) -> np.ndarray:
    return np.stack([x**k for k in range(count)], axis=1)


def chebyshev(low: float, high: float) -> np.ndarray:
    """Points that lie closer towards the ends; none is near 0, where the formulas below lose their digits."""
    x = (low + high) / 2 + (high - low) / 2 * np.cos(np.linspace(0, np.pi, 1001)[1:-1])
    return x[np.abs(x) > 1e-3]


def fit_reduce() -> None:
    """e^r = 1 + (r + r^2 q(r)). The same serves expm1, to which the error is relative: the stricter of the two."""
    r = chebyshev(-HALF_LN2, HALF_LN2)
    fit("reduce, q", list("abcde"), powers(r, 5), (np.expm1(r) - r) / r**2, np.abs(r**2 / np.expm1(r)))


def fit_tanh() -> None:
    """tanh s = s + s^3 p(s^2)."""
    s = chebyshev(0, TANH_BOUND)
    fit("hyperbolic_tangent, p", list("abc"), powers(s**2, 3), (np.tanh(s) - s) / s**3, s**3 / np.tanh(s))


def fit_fast_exp() -> None:
    """e^r = 1 + r + r^2 q(r)."""
    r = chebyshev(-HALF_LN2, HALF_LN2)
    fit("fast_sigmoid, q", list("abcd"), powers(r, 4), (np.expm1(r) - r) / r**2, r**2 / np.exp(r))


def fit_fast_tanh() -> None:
    """tanh x = x p(x^2) / q(x^2), both of degree 4; p and q in turn, lowest first."""
    x = chebyshev(0, FAST_TANH_END)
    z, t = (x**2)[:, None] ** np.arange(1, 5), np.tanh(x)[:, None]
    both = np.stack([x[:, None] * z / t, -z], axis=2).reshape(len(x), 8)
    below = np.stack([0 * z, z], axis=2).reshape(len(x), 8)
    names = [f"{side}{k}" for k in range(1, 5) for side in "pq"]
    target = FAST_TANH_START * (1 - x / t[:, 0])
    fit("fast_hyperbolic_tangent", names, both, target, np.ones(len(x)), below, FAST_TANH_START)


if __name__ == "__main__":
    fit_reduce()
    fit_tanh()
    fit_fast_exp()
    fit_fast_tanh()

"""Fits the coefficients of `reduce` in Sources/CLSTMKernels/activations.h and prints them. Needs numpy.

The kernels write e^r = 1 + (r + r^2 q(r)) for |r| <= ln(2)/2, with q of degree 4. The same r + r^2 q(r) serves
expm1 and tanh, so q is fitted to the least greatest error relative to expm1(r), the stricter of the two.
Coefficients are rounded to float one at a time, lowest first; those still free are fitted again after each rounding
and make good for it.
"""

import numpy as np

DEGREE = 4
# The reduction rounds r: a little more than half of ln 2 is met.
BOUND = np.log(2) / 2 * 1.0001


def q_exact(r):
    """(e^r - 1 - r) / r^2 by its Taylor series, which has no cancellation: 1/2! + r/3! + r^2/4! + ..."""
    total, term = np.zeros_like(r), np.full_like(r, 0.5)
    for k in range(3, 25):
        total += term
        term = term * r / k
    return total


def minimax(columns, target, weight):
    """Least greatest |weight * (columns @ c - target)|, by Lawson's iteratively reweighted least squares."""
    lawson = np.full(len(target), 1.0 / len(target))
    best, best_error = None, np.inf
    for _ in range(400):
        scale = np.sqrt(lawson) * weight
        c = np.linalg.lstsq(columns * scale[:, None], target * scale, rcond=None)[0]
        error = np.abs(weight * (columns @ c - target))
        if error.max() < best_error:
            best, best_error = c, error.max()
        lawson *= error
        lawson /= lawson.sum()
    return best, best_error


def fit():
    r = BOUND * np.cos(np.linspace(0, np.pi, 2001)[1:-1])
    r = r[np.abs(r) > 1e-6]
    weight = r * r / np.abs(np.expm1(r))
    powers = np.stack([r**k for k in range(DEGREE + 1)], axis=1)
    rest, fixed = q_exact(r), []
    for k in range(DEGREE + 1):
        c, error = minimax(powers[:, k:], rest, weight)
        fixed.append(np.float32(c[0]))
        rest = rest - powers[:, k] * float(fixed[-1])
        if k == 0:
            print(f"unrounded: {error * 2**24:.3f} x 2^-24 relative to expm1")
    print(f"rounded:   {np.abs(weight * rest).max() * 2**24:.3f} x 2^-24")
    return fixed


if __name__ == "__main__":
    for k, c in enumerate(fit()):
        print(f"r^{k}: {float(c)!r}f = {float(c).hex()}f")

"""Losses that Keras does not have, for keras_reference.py: written with PyTorch's functions and differentiated by it.

Each takes the library's options and gives a function of targets and outputs, one number for each element.
"""

import torch
from torch.nn import functional


def quantile(quantiles):
    """Outputs [..., quantiles * targets]: all targets of the first quantile, then of the second, ..."""
    quantiles = torch.atleast_1d(torch.as_tensor(quantiles, dtype=torch.float64))

    def loss(y, outputs):
        error = y[..., None, :] - outputs.unflatten(-1, (len(quantiles), -1))
        each = torch.maximum(quantiles[:, None] * error, (quantiles[:, None] - 1) * error)
        return each.mean((-2, -1))

    return loss


def gaussian_nll(min_variance=1e-6):
    def loss(y, outputs):
        mean, logarithm = outputs.chunk(2, -1)
        variance = logarithm.exp() + min_variance
        return functional.gaussian_nll_loss(mean, y, variance, full=True, eps=0, reduction="none").mean(-1)

    return loss


def student_t_nll(degrees_of_freedom=None, min_variance=1e-6):
    def loss(y, outputs):
        location, logarithm, *raw = outputs.chunk(2 if degrees_of_freedom else 3, -1)
        freedom = 2 + functional.softplus(raw[0]) if raw else degrees_of_freedom
        scale = (logarithm.exp() + min_variance).sqrt()
        return -torch.distributions.StudentT(freedom, location, scale).log_prob(y).mean(-1)

    return loss


def contrastive(margin=1.0, pairs=False):
    """Hadsell, Chopra & LeCun 2006, equation 4 without its halves, as TensorFlow Addons has it."""

    def loss(y, outputs):
        if pairs:
            a, b = outputs.chunk(2, -1)
            outputs = torch.linalg.vector_norm(a - b, dim=-1, keepdim=True)
        return (y * outputs**2 + (1 - y) * functional.relu(margin - outputs) ** 2).mean(-1)

    return loss


def poisson_of_logarithms(log_input):
    assert log_input
    return lambda y, outputs: functional.poisson_nll_loss(outputs, y, log_input=True, reduction="none").mean(-1)


def smoothed_classes(label_smoothing, from_logits=False):
    def loss(y, outputs):
        outputs = outputs if from_logits else outputs.log()
        flat = functional.cross_entropy(
            outputs.flatten(0, -2), y.flatten().long(), label_smoothing=label_smoothing, reduction="none"
        )
        return flat.reshape(outputs.shape[:-1])

    return loss


def divergence_of_logits(from_logits):
    """Keras's, of softmax: it keeps targets, and would keep outputs, from 0."""
    assert from_logits

    def loss(y, outputs):
        return functional.kl_div(outputs.log_softmax(-1), y.clamp(1e-7, 1), reduction="none").sum(-1)

    return loss


TABLE = {
    "quantile": quantile,
    "gaussian_nll": gaussian_nll,
    "student_t_nll": student_t_nll,
    "contrastive": contrastive,
}

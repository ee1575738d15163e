"""The exceptions of the package. The others are Python's own: ValueError, TypeError, OSError, MemoryError."""

__all__ = ["DivergedError", "FormatError", "UnsupportedError"]


class FormatError(ValueError):
    """A file or buffer that is no model, is damaged, cut short, or was written by a newer version of the library."""


class DivergedError(ArithmeticError):
    """The loss or a gradient became NaN or infinite. The model keeps the weights of the beginning of that epoch."""


class UnsupportedError(ValueError):
    """Sound, but not possible with this model, this library or on this machine."""

"""Objects of the C library, freed once: by `close`, or when nothing refers to them any more."""

from __future__ import annotations

import weakref
from ctypes import POINTER, Structure, byref
from typing import Any, Callable

from ._library import check


class Handle:
    """A pointer to an object of type `kind`, which ctypes takes where the C function takes the pointer."""

    def __init__(
        self, kind: type[Structure], create: Callable[..., int], free: Callable[..., None], *arguments: Any
    ) -> None:
        """Calls `create(*arguments, &pointer)` and, in the end, `free(pointer)`; raises what `create` reports."""
        pointer = POINTER(kind)()
        check(create(*arguments, byref(pointer)))
        self._as_parameter_ = pointer
        self._finalizer = weakref.finalize(self, free, pointer)
        # At exit the memory goes with the process: other threads may still be using it.
        self._finalizer.atexit = False

    def close(self) -> None:
        """Frees the object; the library refuses its handle from then on."""
        self._finalizer()

"""Layers called on the outputs of others, as in Keras's functional style: `y = Dense(1)(LSTM(64)(x))`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    from .layers import Input, Layer


class Output:
    """What a layer makes of its inputs. It has no numbers: those come from a Model."""

    def __init__(self, layer: Layer, inputs: Sequence[Source]) -> None:
        self.layer, self.inputs = layer, tuple(inputs)
        self.state: str | None = None
        self.whole = self

    def of_state(self, state: str) -> Output:
        """The state of that name behind the last step of the same layer."""
        made = Output(self.layer, self.inputs)
        made.state, made.whole = state, self
        return made

    def __repr__(self) -> str:
        return f"<output of {self.layer!r}>" if self.state is None else f"<{self.state} state of {self.layer!r}>"


Source = Union["Input", Output]


def connect(layer: Layer, inputs: Any) -> Output:
    """The output of a layer for one input or a list of them. TypeError: something else than an Input or Output."""
    from .layers import Input

    given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    for one in given:
        if not isinstance(one, (Input, Output)):
            raise TypeError(
                f"{type(layer).__name__}: expected to be called on an Input, on what another layer gave, or on a list "
                f"of these, got {type(one).__name__} {one!r}"
            )
    if not given:
        raise ValueError(f"{type(layer).__name__}: expected at least one input, got an empty list")
    return Output(layer, given)


def members(name: str, given: Any, kind: type) -> tuple[list[Any], list[str] | None]:
    """What stands in a list or dict, or the one that is given, and the dict's keys.

    TypeError: of another kind; ValueError: none, or one twice.
    """
    keys = list(given) if isinstance(given, Mapping) else None
    found = list(given.values()) if isinstance(given, Mapping) else given
    found = list(found) if isinstance(found, (list, tuple)) else [found]
    for one in found:
        if not isinstance(one, kind):
            raise TypeError(f"{name}: expected an {kind.__name__}, got {type(one).__name__} {one!r}")
    if not found:
        raise ValueError(f"{name}: expected at least one {kind.__name__}, got none")
    if len({id(one) for one in found}) < len(found):
        raise ValueError(f"{name}: expected each {kind.__name__} once, got one twice")
    return found, keys


def ordered(inputs: Sequence[Input], outputs: Sequence[Output]) -> list[Output]:
    """Every output that `outputs` need, and they themselves, each behind those that it reads.

    ValueError: one reads another Input, or a layer stands in two places.
    """
    found: list[Output] = []
    seen: set[int] = set()
    for output in outputs:
        if id(output.whole) not in seen:
            _visit(output.whole, inputs, found, seen)
    layers = {id(one.layer) for one in found}
    if len(layers) < len(found):
        twice = next(one.layer for one in found if sum(other.layer is one.layer for other in found) > 1)
        raise ValueError(
            f"outputs: expected every layer to be called once, got {twice!r} twice; layers share no weights"
        )
    return found


def _visit(output: Output, inputs: Sequence[Input], found: list[Output], seen: set[int]) -> None:
    """Appends what `output` needs and has not been seen, and then itself."""
    path = [(output, iter(output.inputs))]
    seen.add(id(output))
    while path:
        one, rest = path[-1]
        source = next(rest, None)
        if source is None:
            found.append(one)
            path.pop()
        elif not isinstance(source, Output):
            if not any(source is input for input in inputs):
                got = inputs[0] if len(inputs) == 1 else list(inputs)
                raise ValueError(f"inputs: expected {source!r}, which {one.layer!r} reads, got {got!r}")
        elif id(source.whole) not in seen:
            seen.add(id(source.whole))
            path.append((source.whole, iter(source.inputs)))

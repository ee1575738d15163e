"""Layers called on the outputs of others, as in Keras's functional style: `y = Dense(1)(LSTM(64)(x))`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    from .layers import Input, Layer


class Output:
    """What a layer makes of its inputs. It has no numbers: those come from a Model."""

    def __init__(self, layer: Layer, inputs: Sequence[Source]) -> None:
        self.layer, self.inputs = layer, tuple(inputs)

    def __repr__(self) -> str:
        return f"<output of {self.layer!r}>"


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


def only(name: str, given: Any, kind: type) -> Any:
    """The one member of a list, or what is no list. TypeError: of another kind; ValueError: several."""
    members = list(given) if isinstance(given, (list, tuple)) else [given]
    for one in members:
        if not isinstance(one, kind):
            raise TypeError(f"{name}: expected an {kind.__name__}, got {type(one).__name__} {one!r}")
    if len(members) != 1:
        raise ValueError(f"{name}: expected one {kind.__name__}, got {len(members)}")
    return members[0]


def ordered(input: Input, output: Output) -> list[Output]:
    """Every output that `output` needs and at last itself, each behind those that it reads.

    ValueError: one reads another Input, or a layer stands in two places.
    """
    found: list[Output] = []
    seen: set[int] = set()
    path = [(output, iter(output.inputs))]
    seen.add(id(output))
    while path:
        one, rest = path[-1]
        source = next(rest, None)
        if source is None:
            found.append(one)
            path.pop()
        elif not isinstance(source, Output):
            if source is not input:
                raise ValueError(f"inputs: expected {source!r}, which {one.layer!r} reads, got {input!r}")
        elif id(source) not in seen:
            seen.add(id(source))
            path.append((source, iter(source.inputs)))
    layers = {id(one.layer) for one in found}
    if len(layers) < len(found):
        twice = next(one.layer for one in found if sum(other.layer is one.layer for other in found) > 1)
        raise ValueError(
            f"outputs: expected every layer to be called once, got {twice!r} twice; layers share no weights"
        )
    return found

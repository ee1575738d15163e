"""Layers, with Keras's names, arguments and defaults. B is the batch, T timesteps, F features.

A layer is a description until its model is built; `get_weights` and `set_weights` work from then on, with Keras's
order, shapes and gates (LSTM i f c o, GRU z r h). Arguments of Keras that this library does not have are errors, except
with values that change nothing.

The file is long because it has a class for each layer, of which nearly all is signature and docstring: it reads as the
list of them.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Optional

from . import constraints, regularizers
from ._arrays import Floats
from ._graph import Output, connect
from ._spec import Spec, named, refuse, whole
from .errors import UnsupportedError

if TYPE_CHECKING:
    from ._saving import Saved

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "MLSTM",
    "SLSTM",
    "Activation",
    "Add",
    "AdditiveAttention",
    "Attention",
    "Average",
    "AveragePooling1D",
    "BatchNormalization",
    "Bidirectional",
    "Concatenate",
    "Conv1D",
    "Cropping1D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "GroupNormalization",
    "Input",
    "Last",
    "Layer",
    "LayerNormalization",
    "Masking",
    "MaxPooling1D",
    "Maximum",
    "MinGRU",
    "MinLSTM",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalize",
    "PositionEmbedding",
    "PositionalEncoding",
    "RepeatVector",
    "Reshape",
    "SimpleRNN",
    "Slice",
    "SpatialDropout1D",
    "Subtract",
    "Text",
    "TransformerDecoder",
    "TransformerEncoder",
    "ZeroPadding1D",
]

Shape = Sequence[Optional[int]]

_ANY_LAYER: dict[str, tuple[Any, ...]] = {"trainable": (True,), "dtype": (None, "float32")}
_KERNEL: dict[str, tuple[Any, ...]] = {
    "kernel_initializer": ("glorot_uniform",),
    "bias_initializer": ("zeros",),
    "activity_regularizer": (None,),
}
_RECURRENT: dict[str, tuple[Any, ...]] = {
    **_KERNEL,
    "recurrent_initializer": ("orthogonal",),
    "seed": (None,),
    "stateful": (False,),
    "unroll": (False, True),
    "use_cudnn": ("auto", True, False),
}


_SCAN_KINDS = {"kernel": "input_weights", "bias": "bias"}
_CHANNELS_LAST: dict[str, tuple[Any, ...]] = {"data_format": (None, "channels_last")}

_RECURRENT_KINDS = {"kernel": "input_weights", "recurrent": "recurrent_weights", "bias": "bias"}


class Layer(Spec):
    """One layer of a model. `name` is unique in it: the type with a number, unless given."""

    name: str | None
    input_shape: tuple[int | None, ...] | None
    # What Keras's arguments for regularizers and constraints begin with, and the kinds of parameters they are for.
    _kinds: ClassVar[dict[str, str]] = {}

    def __init__(
        self, name: str | None, input_shape: Shape | None, keras: dict[str, Any], neutral: dict[str, Any], **fields: Any
    ) -> None:
        for rule, aliases in (("regularizer", regularizers.ALIASES), ("constraint", constraints.ALIASES)):
            given = {kind: keras.pop(f"{prefix}_{rule}", None) for prefix, kind in self._kinds.items()}
            given = {kind: named(value, aliases) for kind, value in given.items() if value is not None}
            fields[f"{rule}s"] = {**given, **(keras.pop(f"{rule}s", None) or {})} or None
        super().__init__(**fields)
        if input_shape is None and "input_dim" in keras:
            input_shape = (keras.pop("input_dim"),)
        if input_shape is not None and not isinstance(input_shape, (list, tuple)):
            raise TypeError(f"{type(self).__name__}: input_shape must be a tuple, got {input_shape!r}")
        refuse(type(self).__name__, keras, {**_ANY_LAYER, **neutral})
        self.__dict__["name"] = name
        self.__dict__["input_shape"] = None if input_shape is None else tuple(input_shape)
        self.__dict__["_model"] = None

    def describe(self) -> dict[str, Any]:
        description = super().describe()
        return description if self.name is None else {**description, "name": self.name}

    def __call__(self, inputs: Any) -> Output:
        """What the layer makes of an Input, of what other layers gave, or of a list of these: for Model."""
        return connect(self, inputs)

    @classmethod
    def restore(cls, description: dict[str, Any]) -> Layer:
        """The layer of a description, as the C library gives it back."""
        names = {field: argument for argument, field in cls._renamed.items()}
        return cls(**{names.get(field, field): value for field, value in description.items() if field != "type"})

    def attach(self, model: Saved, name: str) -> None:
        """Makes the layer part of a model. ValueError: it is part of another."""
        if self._model is not None and self._model() not in (None, model):
            raise ValueError(f"layer {self.name!r} is already part of a model; make a new one, layers share no weights")
        self.__dict__["_model"] = weakref.ref(model)
        self.__dict__["name"] = name

    @property
    def weight_names(self) -> list[str]:
        """The names of the layer's parameters, `<layer>.<kind>`. ValueError: it is not part of a built model."""
        model = self._model and self._model()
        if model is None:
            raise ValueError(f"layer {self.name!r}: has no weights before it is part of a model")
        return [name for name in model.weight_shapes if name.rpartition(".")[0] == self.name]

    def get_weights(self) -> list[Floats]:
        """Copies of the layer's parameters: kernel, recurrent kernel, bias. ValueError: its model is not built."""
        return [self._model().get_weight(name) for name in self.weight_names]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets all parameters of the layer. ValueError: a wrong number of arrays, shape or value; then none is set."""
        names = self.weight_names
        self._model().set_named_weights(names, weights)

    def count_params(self) -> int:
        """The number of values in the layer's parameters. ValueError: its model is not built."""
        return sum(weight.size for weight in self.get_weights())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def _one(size: Any) -> Any:
    """A size that Keras may also write as a tuple of one."""
    return size[0] if isinstance(size, (list, tuple)) and len(size) == 1 else size


class Input(Spec):
    """The shape of one sample, without the batch, None for any extent: `Input((None, 7))` is steps of 7 features."""

    type = "input"

    def __init__(self, shape: Shape, *, dtype: str | None = None, name: str | None = None, **keras: Any) -> None:
        refuse("Input", keras, {"batch_size": (None,), "batch_shape": (None,), "sparse": (None, False)})
        if dtype not in (None, "float32", "float64", "int32", "int64", "uint8", "string"):
            raise ValueError(f"Input: dtype must be a type that arrays can have, or 'string', got {dtype!r}")
        if not isinstance(shape, (list, tuple)):
            raise TypeError(f"Input: shape must be a tuple, got {shape!r}")
        super().__init__(shape=tuple(shape), dtype=dtype, name=name)


class Text(Layer):
    """Strings [B] -> tokens [B, T]. Token 0 is padding and 1 an unknown word.

    Words are runs of letters, marks and digits with apostrophes inside; every other sign is a word of its own.
    - level: "word" or "character"; lower: turn to lower case first
    - length: T, None for the longest of the batch; truncate, pad: the side, "right" or "left"
    - max_tokens: the size of the vocabulary at most, with the two above
    - vocabulary: tokens without those two; None: learned by `model.adapt`
    """

    type = "text"

    def __init__(
        self,
        level: str = "word",
        *,
        lower: bool = True,
        length: int | None = None,
        truncate: str = "right",
        pad: str = "right",
        max_tokens: int | None = None,
        vocabulary: Iterable[str] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            name,
            None,
            {},
            {},
            level=level,
            lower=lower,
            length=length,
            truncate=truncate,
            pad=pad,
            max_tokens=max_tokens,
            vocabulary=None if vocabulary is None else [str(token) for token in vocabulary],
        )

    def get_vocabulary(self) -> list[str]:
        """Every token in the order of the indices, first "" for padding and "[UNK]" for the unknown, as in Keras."""
        model = self._model and self._model()
        described = model.describe_layer(self.name) if model is not None and model.built else self.describe()
        return ["", "[UNK]", *(described.get("vocabulary") or [])]


class Normalize(Layer):
    """[..., F] -> [..., F]: (x - mean) / deviation of each feature, learned by `model.adapt`."""

    type = "normalize"

    def __init__(self, *, input_shape: Shape | None = None, name: str | None = None, **keras: Any) -> None:
        neutral: dict[str, tuple[Any, ...]] = {"axis": (-1,), "mean": (None,), "variance": (None,), "invert": (False,)}
        super().__init__(name, input_shape, keras, neutral)


class LayerNormalization(Layer):
    """[..., F] -> the same, each vector of the last axis with the mean 0 and the variance 1, times gamma plus beta.

    center: with beta, scale: with gamma, both [F]. Weights: gamma, beta.
    """

    type = "layer_normalization"
    _kinds: ClassVar[dict[str, str]] = {"gamma": "gamma", "beta": "beta"}

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        if axis != -1 and axis not in ([-1], (-1,)):
            raise UnsupportedError(f"LayerNormalization: axis must be -1, the last, got {axis!r}")
        neutral: dict[str, tuple[Any, ...]] = {"gamma_initializer": ("ones",), "beta_initializer": ("zeros",)}
        super().__init__(name, input_shape, keras, neutral, epsilon=epsilon, center=center, scale=scale)


class BatchNormalization(Layer):
    """[..., F] -> the same, each feature with the mean 0 and the variance 1 of the batch, times gamma plus beta.

    Padding does not count. In prediction mean and variance are those that training has gathered, moving = momentum
    moving + (1 - momentum) batch. center: with beta, scale: with gamma. Weights: gamma, beta, moving mean, moving
    variance, all [F].
    """

    type = "batch_normalization"
    _kinds: ClassVar[dict[str, str]] = {"gamma": "gamma", "beta": "beta"}

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        if axis != -1 and axis not in ([-1], (-1,)):
            raise UnsupportedError(f"BatchNormalization: axis must be -1, the last, got {axis!r}")
        neutral: dict[str, tuple[Any, ...]] = {
            "gamma_initializer": ("ones",),
            "beta_initializer": ("zeros",),
            "moving_mean_initializer": ("zeros",),
            "moving_variance_initializer": ("ones",),
            "renorm": (False,),
            "renorm_clipping": (None,),
            "renorm_momentum": (0.99,),
            "synchronized": (False,),
        }
        fields = {"momentum": momentum, "epsilon": epsilon, "center": center, "scale": scale}
        super().__init__(name, input_shape, keras, neutral, **fields)


class GroupNormalization(Layer):
    """[..., F] -> the same, each group of features with the mean 0 and the variance 1, times gamma plus beta.

    Over all steps of a sequence, of which padding does not count and becomes zero. `groups` divides the features; -1:
    each is a group. center: with beta, scale: with gamma, both [F]. Weights: gamma, beta.
    """

    type = "group_normalization"
    _kinds: ClassVar[dict[str, str]] = {"gamma": "gamma", "beta": "beta"}

    def __init__(
        self,
        groups: int = 32,
        axis: int | Sequence[int] = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        if axis != -1 and axis not in ([-1], (-1,)):
            raise UnsupportedError(f"GroupNormalization: axis must be -1, the last, got {axis!r}")
        neutral: dict[str, tuple[Any, ...]] = {"gamma_initializer": ("ones",), "beta_initializer": ("zeros",)}
        fields = {"groups": groups, "epsilon": epsilon, "center": center, "scale": scale}
        super().__init__(name, input_shape, keras, neutral, **fields)


class Masking(Layer):
    """Steps of the model's input of which every number is `mask_value` are padding. The first layer of a model."""

    type = "masking"

    def __init__(
        self, mask_value: float = 0.0, *, input_shape: Shape | None = None, name: str | None = None, **keras: Any
    ) -> None:
        super().__init__(name, input_shape, keras, {}, mask_value=mask_value)


class Conv1D(Layer):
    """[B, T, F] -> [B, outputs, filters]: windows of `kernel_size` steps, `dilation_rate` apart, times a kernel.

    padding: "valid", "same" or "causal", which alone, with strides 1, can stream. Weights: kernel [kernel_size, F,
    filters], bias [filters].
    """

    type = "conv1d"
    _kinds: ClassVar[dict[str, str]] = {"kernel": "weights", "bias": "bias"}

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: str | None = None,
        use_bias: bool = True,
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        keras = {**keras, "data_format": data_format, "groups": groups}
        neutral = {**_KERNEL, **_CHANNELS_LAST, "groups": (1,), "lora_rank": (None,)}
        sizes = {"kernel_size": kernel_size, "strides": strides, "dilation_rate": dilation_rate}
        fields = {"filters": filters, **{key: _one(value) for key, value in sizes.items()}}
        fields |= {"padding": padding, "activation": activation or "linear", "use_bias": use_bias}
        super().__init__(name, input_shape, keras, neutral, **fields)


class _Pooling(Layer):
    """A window of timesteps at a time: [B, T, F] -> [B, outputs, F]. strides: None is the pool_size."""

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        sizes = {"pool_size": _one(pool_size), "strides": _one(strides)}
        keras = {**keras, "data_format": data_format}
        super().__init__(name, input_shape, keras, _CHANNELS_LAST, **sizes, padding=padding)


class MaxPooling1D(_Pooling):
    """The largest of each feature in windows of `pool_size` timesteps."""

    type = "max_pooling"


class AveragePooling1D(_Pooling):
    """The mean of each feature in windows of `pool_size` timesteps."""

    type = "average_pooling"


class _OfAllSteps(Layer):
    """[B, T, F] -> [B, F]."""

    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        keras = {**keras, "data_format": data_format, "keepdims": keepdims}
        super().__init__(name, input_shape, keras, {**_CHANNELS_LAST, "keepdims": (False,)})


class GlobalMaxPooling1D(_OfAllSteps):
    """The largest of each feature over all timesteps that are no padding."""

    type = "global_max_pooling"


class GlobalAveragePooling1D(_OfAllSteps):
    """The mean of each feature over all timesteps that are no padding."""

    type = "global_average_pooling"


class Last(Layer):
    """[B, T, F] -> [B, F]: the last timestep that is no padding."""

    type = "last"

    def __init__(self, *, input_shape: Shape | None = None, name: str | None = None, **keras: Any) -> None:
        super().__init__(name, input_shape, keras, {})


class Flatten(Layer):
    """[B, ...] -> [B, all numbers of a sample]. The number of timesteps must be known."""

    type = "flatten"

    def __init__(
        self,
        data_format: str | None = None,
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(name, input_shape, {**keras, "data_format": data_format}, _CHANNELS_LAST)


class Reshape(Layer):
    """The same numbers as [B, *target_shape]; one extent may be -1, the first also where timesteps are not known."""

    type = "reshape"

    def __init__(
        self, target_shape: Sequence[int], *, input_shape: Shape | None = None, name: str | None = None, **keras: Any
    ) -> None:
        super().__init__(name, input_shape, keras, {}, target_shape=list(target_shape))


class RepeatVector(Layer):
    """[B, F] -> [B, n, F]."""

    type = "repeat_vector"

    def __init__(self, n: int, *, input_shape: Shape | None = None, name: str | None = None, **keras: Any) -> None:
        super().__init__(name, input_shape, keras, {}, n=n)


class Slice(Layer):
    """x[..., start:stop], or x[:, start:stop] with axis="time", of the steps of each row that are no padding."""

    type = "slice"

    def __init__(
        self,
        start: int = 0,
        stop: int | None = None,
        axis: str = "features",
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(name, input_shape, keras, {}, start=start, stop=stop, axis=axis)


class _AtBothEnds(Layer):
    """So many timesteps before and after, one number for both or a pair."""

    def __init__(
        self, steps: int | Sequence[int], name: str | None, input_shape: Shape | None, keras: dict[str, Any]
    ) -> None:
        before, after = (steps, steps) if isinstance(steps, int) else steps
        super().__init__(name, input_shape, keras, _CHANNELS_LAST, before=before, after=after)

    @classmethod
    def restore(cls, description: dict[str, Any]) -> Layer:
        return cls((description["before"], description["after"]), name=description["name"])  # type: ignore[call-arg]


class Cropping1D(_AtBothEnds):
    """Leaves out the first and the last timesteps of each row that are no padding."""

    type = "cropping"

    def __init__(
        self,
        cropping: int | Sequence[int] = (1, 1),
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(cropping, name, input_shape, keras)


class ZeroPadding1D(_AtBothEnds):
    """Zeros before the first and after the last timestep of each row."""

    type = "zero_padding"

    def __init__(
        self,
        padding: int | Sequence[int] = 1,
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(padding, name, input_shape, keras)


class SpatialDropout1D(Layer):
    """In training sets a share `rate` of the features to 0, each at all timesteps, and divides the rest by 1 - rate."""

    type = "spatial_dropout"

    def __init__(self, rate: float, *, input_shape: Shape | None = None, name: str | None = None, **keras: Any) -> None:
        super().__init__(name, input_shape, keras, {"seed": (None,)}, rate=rate)


class GaussianNoise(Layer):
    """In training adds numbers of a normal distribution of mean 0 and deviation `stddev`."""

    type = "gaussian_noise"

    def __init__(
        self, stddev: float, *, input_shape: Shape | None = None, name: str | None = None, **keras: Any
    ) -> None:
        super().__init__(name, input_shape, keras, {"seed": (None,)}, stddev=stddev)


class GaussianDropout(Layer):
    """In training multiplies with numbers of a normal distribution of mean 1 and deviation sqrt(rate / (1 - rate))."""

    type = "gaussian_dropout"

    def __init__(self, rate: float, *, input_shape: Shape | None = None, name: str | None = None, **keras: Any) -> None:
        super().__init__(name, input_shape, keras, {"seed": (None,)}, rate=rate)


class PositionalEncoding(Layer):
    """Adds sines and cosines of each timestep's position, or gives them beside the input: [B, T, F] or [B, T, 2 F].

    merge: "add" or "concat".
    """

    type = "positional_encoding"

    def __init__(
        self,
        max_wavelength: float = 10000.0,
        merge: str = "add",
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(name, input_shape, keras, {}, max_wavelength=max_wavelength, merge=merge)


class PositionEmbedding(Layer):
    """Adds a learned row for each of at most `length` timesteps, or gives it beside the input.

    merge: "add" or "concat". Weights: [length, F].
    """

    type = "position_embedding"
    _kinds: ClassVar[dict[str, str]] = {"embeddings": "weights"}

    def __init__(
        self,
        length: int,
        merge: str = "add",
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(name, input_shape, keras, {}, length=length, merge=merge)


class Embedding(Layer):
    """Tokens [B, T] from 0 to input_dim - 1 -> [B, T, output_dim]. mask_zero: token 0 is padding.

    `input_length` fixes T, as in Keras 2: data of another length is refused.
    """

    type = "embedding"
    _kinds: ClassVar[dict[str, str]] = {"embeddings": "weights"}
    _renamed: ClassVar[dict[str, str]] = {"input_dim": "vocabulary", "output_dim": "units"}

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        mask_zero: bool = False,
        input_length: int | None = None,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        neutral: dict[str, tuple[Any, ...]] = {
            "embeddings_initializer": ("uniform",),
            "weights": (None,),
            "lora_rank": (None,),
        }
        sizes = {
            "input_dim": whole("Embedding: input_dim", input_dim, 1, 2**31 - 1),
            "output_dim": whole("Embedding: output_dim", output_dim, 1, 2**31 - 1),
        }
        if input_length is not None:
            input_shape = (whole("Embedding: input_length", input_length, 1, 2**31 - 1),)
        super().__init__(name, input_shape, keras, neutral, **sizes, mask_zero=mask_zero)


class _Recurrent(Layer):
    """A layer that carries a state from step to step.

    A subclass writes out its arguments, for help() and type checkers, and hands them over as `locals()`: besides name,
    input_shape and keras they are the fields of its description.
    """

    # What return_state gives behind the output; nothing: it cannot be given.
    _states: ClassVar[tuple[str, ...]] = ()

    def __init__(self, arguments: dict[str, Any]) -> None:
        """What the arguments of a recurrent layer say.

        - activation: of the new values, recurrent_activation: of the gates; None is "linear"
        - dropout, recurrent_dropout: the share of the inputs, and of the state that the products read, left out in
          training, one mask a sequence
        - initial_state: "zeros", or "learned" as further weights
        - return_sequences: all outputs, not the last alone
        - go_backwards: read the steps from last to first, and give the outputs in that order
        - return_state: called on the outputs of others it gives a list: its output, and the states behind the last
          step, hidden and of an LSTM memory too. For Model; in a Sequential it means nothing
        """
        fields = {name: value for name, value in arguments.items() if name not in ("self", "__class__")}
        returns_state = fields["keras"].pop("return_state", False) if self._states else False
        if not isinstance(returns_state, bool):
            raise TypeError(f"{type(self).__name__}: return_state must be True or False, got {returns_state!r}")
        name, input_shape, keras = (fields.pop(name) for name in ("name", "input_shape", "keras"))
        for activation in fields.keys() & {"activation", "recurrent_activation"}:
            fields[activation] = fields[activation] or "linear"
        super().__init__(name, input_shape, keras, {**_RECURRENT, "return_state": (False,)}, **fields)
        self.__dict__["return_state"] = returns_state

    def __call__(self, inputs: Any, initial_state: Any = None) -> Any:
        """What the layer makes of an Input or of what another layer gave; a list with return_state.

        `initial_state` is what it begins with, from other layers or Inputs of shape (units,): the hidden state, of an
        LSTM a list of hidden state and memory. Zeros if None.
        """
        several = isinstance(inputs, (list, tuple)) and initial_state is None
        given = list(inputs) if several else [inputs]
        if initial_state is not None:
            given += list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
        output = connect(self, given)
        return [output, *map(output.of_state, self._states)] if self.return_state else output


class LSTM(_Recurrent):
    """[B, T, F] -> [B, units], or [B, T, units] with return_sequences.

    Weights: kernel [F, 4 units], recurrent kernel [units, 4 units], bias [4 units]. With unit_forget_bias that of the
    forget gate begins at 1. Beyond Keras:
    - peepholes: gates see the memory, by weights [3, units] of i f o (Gers & Schmidhuber 2000)
    - coupled_gates: f = 1 - i; the weights' gates are then i c o, and peepholes those of i o
    - projection: outputs of so many numbers, by weights [units, projection] (Sak et al. 2014; PyTorch's `proj_size`)
    - gate_clip, cell_clip: limits of what the gates' activations see (as ONNX's `clip`) and of the memory
    - zoneout_hidden, zoneout_memory: shares of state and memory that stay as they were (Krueger et al. 2017)
    - layer_normalization: of input and recurrent products, by gains [4 units] each, and of the memory before the output
      is made of it, by gain and bias [units] (Ba et al. 2016); norm_epsilon, None for 0.001, is added to variances
    """

    type = "lstm"
    _kinds = _RECURRENT_KINDS
    _states = ("hidden", "memory")

    def __init__(
        self,
        units: int,
        activation: str | None = "tanh",
        recurrent_activation: str | None = "sigmoid",
        use_bias: bool = True,
        *,
        unit_forget_bias: bool = True,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        go_backwards: bool = False,
        projection: int | None = None,
        peepholes: bool = False,
        coupled_gates: bool = False,
        gate_clip: float | None = None,
        cell_clip: float | None = None,
        zoneout_hidden: float = 0.0,
        zoneout_memory: float = 0.0,
        layer_normalization: bool = False,
        norm_epsilon: float | None = None,
        initial_state: str = "zeros",
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(locals())


class GRU(_Recurrent):
    """[B, T, F] -> [B, units], or [B, T, units] with return_sequences.

    Weights: kernel [F, 3 units], recurrent kernel [units, 3 units], bias [2, 3 units], that of the inputs before that
    of the state, or [3 units] without reset_after, which says whether the reset gate multiplies the recurrent product
    (as in cuDNN and PyTorch) or the state before it. `gate_clip`, `zoneout_hidden` and `layer_normalization` (of the
    two products) are those of LSTM, and want reset_after.
    """

    type = "gru"
    _kinds = _RECURRENT_KINDS
    _states = ("hidden",)

    def __init__(
        self,
        units: int,
        activation: str | None = "tanh",
        recurrent_activation: str | None = "sigmoid",
        use_bias: bool = True,
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        go_backwards: bool = False,
        reset_after: bool = True,
        gate_clip: float | None = None,
        zoneout_hidden: float = 0.0,
        layer_normalization: bool = False,
        norm_epsilon: float | None = None,
        initial_state: str = "zeros",
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(locals())


class SimpleRNN(_Recurrent):
    """[B, T, F] -> [B, units], or [B, T, units] with return_sequences.

    The state is activation(x kernel + state recurrent_kernel + bias). Weights: kernel [F, units], recurrent kernel
    [units, units], bias [units].
    """

    type = "simple_rnn"
    _kinds = _RECURRENT_KINDS
    _states = ("hidden",)

    def __init__(
        self,
        units: int,
        activation: str | None = "tanh",
        use_bias: bool = True,
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        go_backwards: bool = False,
        initial_state: str = "zeros",
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(locals())


class MinGRU(_Recurrent):
    """[B, T, F] -> [B, units], or [B, T, units] with return_sequences: minGRU (Feng et al. 2024), whose gate z knows
    nothing of the state, so that all products are made for all timesteps at once.

    h' = (1 - z) h + z n; n is the candidate, with activation "g" kept above zero (a + 1/2 from 0 on, sigmoid below),
    with "linear" as it is. Weights: kernel [F, 2 units], bias [2 units], gates z n.
    """

    type = "min_gru"
    _kinds = _SCAN_KINDS

    def __init__(
        self,
        units: int,
        activation: str = "g",
        use_bias: bool = True,
        *,
        return_sequences: bool = False,
        go_backwards: bool = False,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(locals())


class MinLSTM(_Recurrent):
    """[B, T, F] -> [B, units], or [B, T, units] with return_sequences: minLSTM (Feng et al. 2024), whose gates i and f
    know nothing of the state.

    h' = (f h + i n) / (f + i), the candidate n as in MinGRU. Weights: kernel [F, 3 units], bias [3 units], gates i f n.
    With unit_forget_bias that of the forget gate begins at 1.
    """

    type = "min_lstm"
    _kinds = _SCAN_KINDS

    def __init__(
        self,
        units: int,
        activation: str = "g",
        use_bias: bool = True,
        *,
        unit_forget_bias: bool = True,
        return_sequences: bool = False,
        go_backwards: bool = False,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(locals())


class SLSTM(_Recurrent):
    """[B, T, F] -> [B, units], or [B, T, units] with return_sequences: the sLSTM of xLSTM (Beck et al. 2024), with
    exponential gates and a normalizer.

    - heads: parts of the units that see nothing of each other's state; a divisor of units
    - forget_bias: what those of the forget gates begin with over the units of a head, "powerlaw" (5 to -7), "linspace"
      (3 to 6) or "zeros"

    Weights: kernel [F, 4 units], bias [4 units], gates i f z o; recurrent kernel [units, 4 units / heads], the rows of
    a head its own units, the columns these units of each gate. It begins with zeros.
    """

    type = "slstm"
    _kinds = _RECURRENT_KINDS

    def __init__(
        self,
        units: int,
        heads: int = 1,
        use_bias: bool = True,
        *,
        forget_bias: str = "powerlaw",
        return_sequences: bool = False,
        go_backwards: bool = False,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(locals())


class MLSTM(_Recurrent):
    """[B, T, F] -> [B, units], or [B, T, units] with return_sequences: the mLSTM of xLSTM (Beck et al. 2024), whose
    memory is a matrix [key_dim, units / heads] for each head, written by keys and read by queries.

    - heads: a divisor of units
    - key_dim: the size of a head's query and key; None: units / heads
    - output_gate: multiply with sigmoid(x kernel + bias), a gate for each unit
    - forget_bias: what the forget gates of the heads begin with, "linspace" (3 to 6), "powerlaw" (5 to -7) or "zeros"

    Weights: kernel [F, C] and bias [C], the columns C queries and keys [heads key_dim] each, values and output gate
    [units] each, input and forget gates [heads] each.
    """

    type = "mlstm"
    _kinds = _SCAN_KINDS

    def __init__(
        self,
        units: int,
        heads: int = 1,
        key_dim: int | None = None,
        use_bias: bool = True,
        *,
        output_gate: bool = True,
        forget_bias: str = "linspace",
        return_sequences: bool = False,
        go_backwards: bool = False,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(locals())


class Bidirectional(Layer):
    """An LSTM, GRU or SimpleRNN that reads from first step to last, and a second one that reads from last to first.

    Both outputs stand at the timestep that they belong to. merge_mode: "concat" [..., 2 units], "sum", "mul" or "ave"
    (the mean) [..., units]; None: [..., 2, units], where Keras returns two tensors. Weights: those of the layer for the
    first, then again for the second. A layer with return_state: behind the output stand the states of the first, then
    those of the second.
    """

    type = "bidirectional"
    _renamed: ClassVar[dict[str, str]] = {"merge_mode": "merge"}

    def __init__(
        self,
        layer: LSTM | GRU | SimpleRNN,
        merge_mode: str | None = "concat",
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        if not isinstance(layer, (LSTM, GRU, SimpleRNN)):
            raise TypeError(
                f"Bidirectional: layer must be an LSTM, GRU or SimpleRNN, got {type(layer).__name__} {layer!r}"
            )
        if layer.go_backwards:
            raise UnsupportedError(f"Bidirectional: layer must have go_backwards=False, got {layer!r}")
        shape = layer.input_shape if input_shape is None else input_shape
        neutral = {"weights": (None,), "backward_layer": (None,)}
        super().__init__(name, shape, keras, neutral, layer=layer, merge_mode=merge_mode)

    def __call__(self, inputs: Any) -> Any:
        output = connect(self, inputs)
        states = [f"{way}_{state}" for way in ("forward", "backward") for state in self.layer._states]
        return [output, *map(output.of_state, states)] if self.layer.return_state else output

    def describe(self) -> dict[str, Any]:
        layer = {field: value for field, value in self.layer.describe().items() if field != "name"}
        described = {**super().describe(), "merge": self.merge_mode}
        for rule in ("regularizers", "constraints"):
            each = layer.pop(rule, {})
            both = {f"{way}_{kind}": value for way in ("forward", "backward") for kind, value in each.items()}
            if both:
                described[rule] = {**both, **described.get(rule, {})}
        return {**described, "layer": layer}

    @classmethod
    def restore(cls, description: dict[str, Any]) -> Layer:
        return super().restore({**description, "layer": restore(description["layer"])})


class Dense(Layer):
    """[..., F] -> [..., units]: activation(x kernel + bias). Weights: kernel [F, units], bias [units]."""

    type = "dense"
    _kinds: ClassVar[dict[str, str]] = {"kernel": "weights", "bias": "bias"}

    def __init__(
        self,
        units: int,
        activation: str | None = "linear",
        use_bias: bool = True,
        *,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        neutral = {**_KERNEL, "lora_rank": (None,)}
        fields = {"units": units, "activation": activation or "linear", "use_bias": use_bias}
        super().__init__(name, input_shape, keras, neutral, **fields)


class CRF(Layer):
    """[B, T, units] scores of tags -> [B, T, units], 1 for the tag of the best sequence: a conditional random field.

    The last layer of a model with the loss "crf" (losses.CRF), behind one that gives a score for each tag. With the
    output "probabilities" it gives that of each tag. Weights: start [units], transitions [units, units], end [units].
    """

    type = "crf"
    _kinds: ClassVar[dict[str, str]] = {"transitions": "transitions"}

    def __init__(self, units: int, *, output: str = "tags", name: str | None = None, **keras: Any) -> None:
        super().__init__(name, None, keras, {}, units=units, output=output)


class Dropout(Layer):
    """In training sets the share `rate` of the inputs to 0 and divides the rest by 1 - rate."""

    type = "dropout"

    def __init__(self, rate: float, *, input_shape: Shape | None = None, name: str | None = None, **keras: Any) -> None:
        super().__init__(name, input_shape, keras, {"noise_shape": (None,), "seed": (None,)}, rate=rate)


class Activation(Layer):
    """linear, sigmoid, tanh, relu, softmax (over the last axis), hard_sigmoid, elu, gelu, silu or softplus."""

    type = "activation"

    def __init__(
        self, activation: str | None, *, input_shape: Shape | None = None, name: str | None = None, **keras: Any
    ) -> None:
        super().__init__(name, input_shape, keras, {}, activation=activation or "linear")


class _Attention(Layer):
    """What attention layers take: causal, each step sees no later ones; window, and only so many of the latest."""

    _neutral: ClassVar[dict[str, tuple[Any, ...]]] = {"seed": (None,)}

    def __init__(self, arguments: dict[str, Any]) -> None:
        """The fields of the description are the arguments of the subclass, besides name, input_shape and keras."""
        fields = {name: value for name, value in arguments.items() if name not in ("self", "__class__")}
        name, keras = fields.pop("name"), fields.pop("keras")
        super().__init__(name, fields.pop("input_shape", None), keras, self._neutral, **fields)


class Attention(_Attention):
    """[B, T, F] queries, [B, S, G] values and [B, S, F] keys, the values unless given -> [B, T, G].

    Called on a list, `Attention()([query, value])`: each query's mean of the values, weighted with the softmax of its
    scores. score_mode "dot": its products with the keys; "concat": the sums of tanh(query + key), times a weight. With
    use_scale a number is learned, that the products, or the sums within tanh, are multiplied with. causal (in Keras an
    argument of the call): a step sees no later ones; window: and so many at most, as a stream needs.
    """

    type = "attention"

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        *,
        causal: bool = False,
        window: int | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(locals())


class AdditiveAttention(_Attention):
    """Attention with the scores sum(w tanh(query + key)); w [F] is learned with use_scale, else 1."""

    type = "additive_attention"

    def __init__(
        self,
        use_scale: bool = True,
        dropout: float = 0.0,
        *,
        causal: bool = False,
        window: int | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(locals())


class MultiHeadAttention(_Attention):
    """[B, T, F] -> [B, T, F]: attention of several heads with projections of their own.

    Called on one input, or on a list [query, value] or [query, value, key], all [B, any steps, any features]. Weights:
    kernel [F, num_heads key_dim] and bias of the query, of the key, of the value (value_dim) and of the output
    [num_heads value_dim, F]; where Keras has an axis for the heads, theirs lie side by side. causal (in Keras an
    argument of the call): a step sees no later ones; window: and so many at most, as a stream needs.
    """

    type = "multi_head_attention"
    _neutral: ClassVar[dict[str, tuple[Any, ...]]] = {
        **_KERNEL,
        "seed": (None,),
        "output_shape": (None,),
        "attention_axes": (None,),
        "flash_attention": (None, False),
        "use_gate": (False,),
    }

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        *,
        causal: bool = False,
        window: int | None = None,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(locals())


class TransformerEncoder(_Attention):
    """[B, T, F] -> [B, T, F]: self-attention, then a dense layer of `units` with an activation and one back to F, each
    within a sum with what it reads and a normalization, behind the sum or, with norm_first, before it.

    key_dim: F / num_heads, unless given. dropout: of the attention's weights, of the activations and of what is added.
    causal and window as in MultiHeadAttention.
    """

    type = "transformer_encoder"

    def __init__(
        self,
        units: int,
        num_heads: int,
        key_dim: int | None = None,
        activation: str = "relu",
        dropout: float = 0.0,
        norm_first: bool = False,
        epsilon: float = 1e-5,
        *,
        causal: bool = False,
        window: int | None = None,
        input_shape: Shape | None = None,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(locals())


class TransformerDecoder(_Attention):
    """[B, T, F], and of an encoder [B, S, G] -> [B, T, F], called on the list of both.

    As TransformerEncoder, with causal self-attention, and between it and the dense layers attention to the second.
    """

    type = "transformer_decoder"

    def __init__(
        self,
        units: int,
        num_heads: int,
        key_dim: int | None = None,
        activation: str = "relu",
        dropout: float = 0.0,
        norm_first: bool = False,
        epsilon: float = 1e-5,
        *,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        super().__init__(locals())


class _Merging(Layer):
    """Layers of several inputs, for Model: `Add()([a, b])`."""

    def __init__(self, *, name: str | None = None, **keras: Any) -> None:
        super().__init__(name, None, keras, {})


class Concatenate(_Merging):
    """Several inputs one behind the other on the last axis; the other axes are the same."""

    type = "concatenate"

    def __init__(self, axis: int = -1, *, name: str | None = None, **keras: Any) -> None:
        if axis != -1:
            raise UnsupportedError(f"Concatenate: axis must be -1, the last, got {axis!r}")
        super().__init__(name=name, **keras)


class Add(_Merging):
    """The sum of several inputs of one shape."""

    type = "add"


class Subtract(_Merging):
    """The first input less the second, of one shape."""

    type = "subtract"


class Multiply(_Merging):
    """The product, element by element, of several inputs of one shape."""

    type = "multiply"


class Average(_Merging):
    """The mean of several inputs of one shape."""

    type = "average"


class Maximum(_Merging):
    """The largest of several inputs of one shape, element by element."""

    type = "maximum"


class Minimum(_Merging):
    """The smallest of several inputs of one shape, element by element."""

    type = "minimum"


_TYPES: dict[str, type[Layer]] = {
    cls.type: cls
    for cls in (
        *(Text, Normalize, Embedding, LSTM, GRU, SimpleRNN, Bidirectional, Dense, Dropout, Activation, CRF),
        *(MinGRU, MinLSTM, SLSTM, MLSTM, LayerNormalization, GroupNormalization),
        *(Attention, AdditiveAttention, MultiHeadAttention, TransformerEncoder, TransformerDecoder),
        *(
            BatchNormalization,
            Masking,
            Conv1D,
            MaxPooling1D,
            AveragePooling1D,
            GlobalMaxPooling1D,
            GlobalAveragePooling1D,
            Last,
            Flatten,
        ),
        *(Reshape, RepeatVector, Slice, Cropping1D, ZeroPadding1D, SpatialDropout1D, GaussianNoise, GaussianDropout),
        *(PositionalEncoding, PositionEmbedding),
        *(Concatenate, Add, Subtract, Multiply, Average, Maximum, Minimum),
    )
}


def restore(description: dict[str, Any]) -> Layer:
    """The layer of one entry of a description's `layers`."""
    return _TYPES[description["type"]].restore(description)

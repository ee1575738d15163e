"""A Python face of the library made from the parsed header alone, so that tests can call every function by ctypes."""

import ctypes
import functools
from pathlib import Path

import harness
import numpy as np

SCALARS = {
    "int": ctypes.c_int,
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "double": ctypes.c_double,
    "char": ctypes.c_char,
}
TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 4, "uint8": 5}
STRING = 6
PROGRESS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
SOURCE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint64, ctypes.c_size_t, *[ctypes.c_void_p] * 4)


class LSTMError(Exception):
    def __init__(self, code: int, text: str):
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


def make_structs(header) -> dict[str, type]:
    structs = {}
    for struct in header.structs.values():
        fields = []
        for field in struct.fields:
            kind = SCALARS.get(field.type, ctypes.c_void_p)
            fields.append((field.name, kind * int(header.macros[field.length]) if field.length else kind))
        structs[struct.name] = type(struct.name, (ctypes.Structure,), {"_fields_": fields})
    return structs


class Library:
    """lib.create(...) calls lstm_create; an error becomes LSTMError."""

    def __init__(self, path: Path):
        self.dll = ctypes.CDLL(str(path))
        self.structs = make_structs(harness.HEADER_TEXT)
        for function in harness.HEADER_TEXT.functions.values():
            call = getattr(self.dll, function.name)
            call.argtypes = [
                SCALARS.get(p.type, ctypes.c_char_p if p.type == "const char *" else ctypes.c_void_p)
                for p in function.parameters
            ]
            call.restype = {"void": None, "int": ctypes.c_int, "const char *": ctypes.c_char_p}[function.returns]

    def __getattr__(self, name: str):
        return functools.partial(self.call, name)

    def call(self, name: str, *arguments):
        function = getattr(self.dll, f"lstm_{name}")
        result = function(*arguments)
        if function.restype is ctypes.c_int and result < 0:
            raise LSTMError(result, self.dll.lstm_last_error().decode("utf-8"))
        return result

    def model(self, description: str) -> int:
        model = ctypes.c_void_p()
        self.create(description.encode(), None, ctypes.byref(model))
        return model.value

    def array(self, values, lengths=None, mask=None):
        """An lstm_array of a numpy array or a list of strings; it keeps its memory alive."""
        texts = isinstance(values, list)
        encoded = [v if v is None or isinstance(v, bytes) else v.encode() for v in values] if texts else []
        held = (ctypes.c_char_p * len(values))(*encoded) if texts else np.ascontiguousarray(values)
        shape = (len(values),) if texts else held.shape
        address = ctypes.addressof(held) if texts else held.ctypes.data
        kind = STRING if texts else TYPES[held.dtype.name]
        array = self.structs["lstm_array"]()
        extents = (ctypes.c_int64 * 8)(*shape)
        self.array_init(ctypes.byref(array), ctypes.sizeof(array), kind, address, len(shape), extents)
        array.held = [held, lengths, mask]
        array.lengths = lengths.ctypes.data if lengths is not None else None
        array.mask = mask.ctypes.data if mask is not None else None
        return array

    def options(self, **fields):
        options = self.structs["lstm_options"]()
        self.options_init(ctypes.byref(options), ctypes.sizeof(options))
        options.held = fields
        for name, value in fields.items():
            setattr(options, name, _as_field(value))
        return options

    def train(self, model, x, y, **fields):
        options = self.options(**fields)
        return self.call("train", model, ctypes.byref(x), ctypes.byref(y), ctypes.byref(options), None)

    def train_from(self, model, batches, **fields):
        """`batches` are pairs of arrays, or numbers that the source returns."""

        def next_batch(epoch, batch, x, y, weights, user):
            if batch == len(batches):
                return 1
            if isinstance(batches[batch], int):
                return batches[batch]
            for given, place in zip(batches[batch], (x, y, weights), strict=False):
                ctypes.memmove(place, ctypes.byref(given), ctypes.sizeof(given))
            return 0

        options = ctypes.byref(self.options(**fields))
        return self.call("train_from", model, ctypes.cast(SOURCE(next_batch), ctypes.c_void_p), None, options, None)

    def evaluate(self, model, x, y, **fields) -> np.ndarray:
        values = np.zeros(32)
        history = self.structs["lstm_history"]()
        self.history_init(ctypes.byref(history), ctypes.sizeof(history), values.ctypes.data, 1)
        options = ctypes.byref(self.options(**fields))
        self.call("evaluate", model, ctypes.byref(x), ctypes.byref(y), options, ctypes.byref(history))
        return values[: history.columns]

    def predict(self, model, x) -> np.ndarray:
        count = ctypes.c_size_t()
        self.call("predict", model, ctypes.byref(x), None, None, 0, ctypes.byref(count))
        y = np.zeros(count.value, np.float32)
        self.call("predict", model, ctypes.byref(x), None, y.ctypes.data, count.value, None)
        return y

    def saved(self, model, flags: int = 0) -> bytes:
        count = ctypes.c_size_t()
        self.save_buffer(model, flags, None, 0, ctypes.byref(count))
        buffer = ctypes.create_string_buffer(count.value)
        self.save_buffer(model, flags, buffer, count.value, None)
        return buffer.raw

    def loaded(self, data: bytes) -> int:
        model = ctypes.c_void_p()
        self.load_buffer(data, len(data), None, ctypes.byref(model))
        return model.value


def _as_field(value):
    """An option's value as its field takes it: the address of a struct or an array, a number as it is."""
    if isinstance(value, ctypes.Structure):
        return ctypes.addressof(value)
    if isinstance(value, np.ndarray):
        return value.ctypes.data
    if isinstance(value, (bytes, PROGRESS)):
        return ctypes.cast(value, ctypes.c_void_p).value
    return value

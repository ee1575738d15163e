"""The library through ctypes: no more of it than the golden tests call. Every error becomes an exception."""

import ctypes
import json
import os
import pathlib
from ctypes import byref, c_char_p, c_double, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

import numpy as np

TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 4, "uint8": 5}
UNSUPPORTED, MAX_RANK, MAX_COLUMNS = -8, 8, 32
C_TYPES = {
    "u32": c_uint32,
    "u64": c_uint64,
    "size": c_size_t,
    "double": c_double,
    "pointer": c_void_p,
    "text": c_char_p,
}
C_TYPES |= {"extents": c_int64 * MAX_RANK, "name": ctypes.c_char * 128, "texts": c_char_p * MAX_COLUMNS}


def struct(members):
    """A struct of the header, from its members after struct_size as "type name name, type name"."""
    fields = [("struct_size", c_uint32)]
    for kind, *names in map(str.split, members.split(",")):
        fields += [(name, C_TYPES[kind]) for name in names]
    return type("Struct", (ctypes.Structure,), {"_fields_": fields})


Array = struct("u32 type rank reserved, pointer data, extents shape strides, pointer lengths mask")
Parameter = struct("u32 trainable rank reserved, extents shape, size count, name name")
Options = struct(
    "u32 batch_size epochs shuffle, u64 seed, double validation_split,"
    "pointer validation_x validation_y validation_weights sample_weights class_weights, size class_count,"
    "u32 early_stopping patience start_from_epoch,"
    "u32 restore_best monitor_mode progress_batches, double min_delta, text monitor, pointer progress progress_user,"
    "pointer log log_user, u32 log_level reserved threads bptt_steps,"
    "u32 resume reduce_on_plateau plateau_patience plateau_cooldown plateau_mode reserved_3,"
    "double plateau_factor plateau_min_delta plateau_min_rate, text plateau_monitor, size steps_per_epoch,"
    "pointer validation"
)
Data = struct("u32 inputs outputs reserved, pointer x y weights")
History = struct("u32 columns, size capacity rows, pointer values, texts names")

# Arguments: p a pointer, s a string, z a size, u a 32-bit number.
ARGUMENTS = {"p": c_void_p, "s": c_char_p, "z": c_size_t, "u": c_uint32}
FUNCTIONS = (
    "use_kernels s, create spp, free p, parameter_count pp, parameter_info pzp, get_parameter pspzp,"
    "set_parameter pspz, options_init pz, history_init pzpz, train ppppp, evaluate ppppp, output_shape pppp,"
    "confusion_matrix pppppzp,"
    "predict ppppzp, train_many pppp, evaluate_many pppp, output_shape_many ppupp, predict_many ppppzp,"
    "trainer_step_many ppp,"
    "inspect ppsspppzp, saliency ppzupppzp, trainer_gradient_norms ppzp,"
    "serve_average pu, trainer_create pp, trainer_step ppppp, trainer_gradient pspzp, trainer_free p,"
    "trainer_carry pu, trainer_reset_state p,"
    "stream_create pp, stream_sizes ppp, stream_step ppzpz, stream_free p"
)
BUILT = pathlib.Path(__file__).parents[2] / "build/liblstm.so.1"
LIBRARY = ctypes.CDLL(os.environ.get("LSTM_LIBRARY", str(BUILT)))
LIBRARY.lstm_last_error.restype = c_char_p
for function, arguments in map(str.split, FUNCTIONS.split(",")):
    getattr(LIBRARY, f"lstm_{function}").argtypes = [ARGUMENTS[letter] for letter in arguments]
    getattr(LIBRARY, f"lstm_{function}").restype = None if function.endswith("free") else c_int


class LibraryError(Exception):
    """(code, lstm_last_error())"""


def call(function, *arguments):
    code = getattr(LIBRARY, f"lstm_{function}")(*arguments)
    if code:
        raise LibraryError(code, LIBRARY.lstm_last_error().decode())


def borrowed(values, mask=None, lengths=None):
    """An lstm_array over a numpy array; it must outlive the call, and the struct keeps a reference to see to that."""
    array = Array(ctypes.sizeof(Array), TYPES[values.dtype.name], values.ndim, 0, values.ctypes.data)
    array.shape[: values.ndim], array.strides[: values.ndim] = values.shape, values.strides
    array.kept = (values, mask, lengths)
    array.mask = None if mask is None else mask.ctypes.data
    array.lengths = None if lengths is None else lengths.ctypes.data
    return array


def floats(count):
    values = np.empty(count, np.float32)
    return values, (values.ctypes.data, count, None)


class Model:
    def __init__(self, description):
        self.handle = c_void_p()
        call("create", json.dumps(description).encode(), None, byref(self.handle))

    def __del__(self):
        LIBRARY.lstm_free(self.handle)

    def parameters(self):
        """{name: values} in the order of the library."""
        count, found = c_size_t(), {}
        call("parameter_count", self.handle, byref(count))
        for index in range(count.value):
            info = Parameter(struct_size=ctypes.sizeof(Parameter))
            call("parameter_info", self.handle, index, byref(info))
            values, out = floats(info.count)
            call("get_parameter", self.handle, info.name, *out)
            found[info.name.decode()] = values.reshape(info.shape[: info.rank])
        return found

    def set_parameter(self, name, values):
        values = np.ascontiguousarray(values, np.float32)
        call("set_parameter", self.handle, name.encode(), values.ctypes.data, values.size)

    def predict(self, x, options=None):
        shape, rank = (c_int64 * MAX_RANK)(), c_uint32()
        call("output_shape", self.handle, byref(x), shape, byref(rank))
        values, out = floats(int(np.prod(shape[: rank.value])))
        call("predict", self.handle, byref(x), options and byref(options), *out)
        return values.reshape(shape[: rank.value])

    def serve_average(self):
        call("serve_average", self.handle, 1)

    def run(self, function, x, y, options, rows=1):
        """lstm_train or lstm_evaluate: {column: one number a row}."""
        values, history = np.zeros((rows, MAX_COLUMNS)), History()
        call("history_init", byref(history), ctypes.sizeof(history), values.ctypes.data, rows)
        call(function, self.handle, byref(x), byref(y), byref(options), byref(history))
        assert history.rows == rows
        return {history.names[column].decode(): values[:, column] for column in range(history.columns)}

    def confusion(self, x, y, classes, options):
        counts = np.empty((classes, classes), np.int64)
        arguments = (self.handle, byref(x), byref(y), byref(options))
        call("confusion_matrix", *arguments, counts.ctypes.data, counts.size, None)
        return counts


def options(weights=None, class_weights=None, **fields):
    made = Options()
    call("options_init", byref(made), ctypes.sizeof(made))
    for name, value in fields.items():
        setattr(made, name, value)
    made.kept = weights, None if class_weights is None else np.asarray(class_weights, np.float64)
    if weights is not None:
        made.sample_weights = ctypes.addressof(weights)
    if class_weights is not None:
        made.class_weights, made.class_count = made.kept[1].ctypes.data, len(class_weights)
    return made


class Trainer:
    def __init__(self, model):
        self.model, self.handle = model, c_void_p()
        call("trainer_create", model.handle, byref(self.handle))

    def __del__(self):
        self.free()

    def free(self):
        LIBRARY.lstm_trainer_free(self.handle)
        self.handle = None

    def step(self, x, y, weights=None):
        loss = c_double()
        call("trainer_step", self.handle, byref(x), byref(y), weights and byref(weights), byref(loss))
        return loss.value

    def gradient(self, name, shape):
        values, out = floats(int(np.prod(shape)))
        call("trainer_gradient", self.handle, name.encode(), *out)
        return values.reshape(shape)


def stream(model, steps):
    """The outputs of a fresh stream for `steps` [T, inputs], one step at a time."""
    handle, inputs, outputs = c_void_p(), c_size_t(), c_size_t()
    call("stream_create", model.handle, byref(handle))
    try:
        call("stream_sizes", handle, byref(inputs), byref(outputs))
        y = np.empty((len(steps), outputs.value), np.float32)
        for x, row in zip(np.ascontiguousarray(steps, np.float32).reshape(len(steps), inputs.value), y, strict=True):
            call("stream_step", handle, x.ctypes.data, x.size, row.ctypes.data, row.size)
    finally:
        LIBRARY.lstm_stream_free(handle)
    return y

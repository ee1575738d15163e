"""The C library: its constants, structs and functions, declared as in `lstm.h` and under the names they have there.

A test compares every line with the header. All else in this package calls C through `library` and `check`.
"""

from __future__ import annotations

import os
from ctypes import (
    CDLL,
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any

from .errors import DivergedError, FormatError, UnsupportedError

LSTM_VERSION_MAJOR = 0
LSTM_VERSION_MINOR = 1
LSTM_VERSION_PATCH = 0
LSTM_VERSION = "0.1.0"

LSTM_OK = 0
LSTM_STOPPED = 1
LSTM_ERR_ARG = -1
LSTM_ERR_TYPE = -2
LSTM_ERR_NOMEM = -3
LSTM_ERR_IO = -4
LSTM_ERR_FORMAT = -5
LSTM_ERR_VERSION = -6
LSTM_ERR_DIVERGED = -7
LSTM_ERR_UNSUPPORTED = -8
LSTM_ERR_INTERNAL = -9
LSTM_ERR_SOURCE = -10

LSTM_FLOAT32 = 1
LSTM_FLOAT64 = 2
LSTM_INT32 = 3
LSTM_INT64 = 4
LSTM_UINT8 = 5
LSTM_STRING = 6
LSTM_MAX_RANK = 8

LSTM_BF16 = 1
LSTM_INT8 = 2

LSTM_NAME_SIZE = 128
LSTM_MAX_COLUMNS = 32

LSTM_EVENT_TRAIN_BEGIN = 1
LSTM_EVENT_EPOCH_BEGIN = 2
LSTM_EVENT_BATCH_END = 3
LSTM_EVENT_EPOCH_END = 4
LSTM_EVENT_TRAIN_END = 5

LSTM_LOG_DEBUG = 10
LSTM_LOG_INFO = 20
LSTM_LOG_WARNING = 30

LSTM_MODE_AUTO = 0
LSTM_MODE_MIN = 1
LSTM_MODE_MAX = 2

LSTM_SOURCE_END = 1

LSTM_SAVE_WEIGHTS_ONLY = 1


class lstm_model(Structure):
    pass


class lstm_trainer(Structure):
    pass


class lstm_predictor(Structure):
    pass


class lstm_stream(Structure):
    pass


class lstm_generator(Structure):
    pass


lstm_allocate = CFUNCTYPE(c_void_p, c_size_t, c_size_t, c_void_p)
lstm_deallocate = CFUNCTYPE(None, c_void_p, c_size_t, c_void_p)


class lstm_allocator(Structure):
    _fields_ = (
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("allocate", lstm_allocate),
        ("deallocate", lstm_deallocate),
        ("user", c_void_p),
    )


class lstm_array(Structure):
    _fields_ = (
        ("struct_size", c_uint32),
        ("type", c_uint32),
        ("rank", c_uint32),
        ("reserved", c_uint32),
        ("data", c_void_p),
        ("shape", c_int64 * LSTM_MAX_RANK),
        ("strides", c_int64 * LSTM_MAX_RANK),
        ("lengths", POINTER(c_int64)),
        ("mask", POINTER(c_uint8)),
    )


class lstm_data(Structure):
    _fields_ = (
        ("struct_size", c_uint32),
        ("inputs", c_uint32),
        ("outputs", c_uint32),
        ("reserved", c_uint32),
        ("x", POINTER(POINTER(lstm_array))),
        ("y", POINTER(POINTER(lstm_array))),
        ("weights", POINTER(POINTER(lstm_array))),
    )


class lstm_parameter(Structure):
    _fields_ = (
        ("struct_size", c_uint32),
        ("trainable", c_uint32),
        ("rank", c_uint32),
        ("reserved", c_uint32),
        ("shape", c_int64 * LSTM_MAX_RANK),
        ("count", c_size_t),
        ("name", c_char * LSTM_NAME_SIZE),
    )


class lstm_progress(Structure):
    _fields_ = (
        ("struct_size", c_uint32),
        ("event", c_uint32),
        ("epoch", c_uint32),
        ("epochs", c_uint32),
        ("batch", c_size_t),
        ("batches", c_size_t),
        ("samples", c_size_t),
        ("seconds", c_double),
        ("samples_per_second", c_double),
        ("learning_rate", c_double),
        ("columns", c_uint32),
        ("reserved", c_uint32),
        ("names", POINTER(c_char_p)),
        ("values", POINTER(c_double)),
        ("gradient_count", c_size_t),
        ("gradient_norms", POINTER(c_double)),
    )


lstm_progress_callback = CFUNCTYPE(c_int, POINTER(lstm_progress), c_void_p)
lstm_log_callback = CFUNCTYPE(None, c_int, c_char_p, c_void_p)


class lstm_options(Structure):
    _fields_ = (
        ("struct_size", c_uint32),
        ("batch_size", c_uint32),
        ("epochs", c_uint32),
        ("shuffle", c_uint32),
        ("seed", c_uint64),
        ("validation_split", c_double),
        ("validation_x", POINTER(lstm_array)),
        ("validation_y", POINTER(lstm_array)),
        ("validation_weights", POINTER(lstm_array)),
        ("sample_weights", POINTER(lstm_array)),
        ("class_weights", POINTER(c_double)),
        ("class_count", c_size_t),
        ("early_stopping", c_uint32),
        ("patience", c_uint32),
        ("start_from_epoch", c_uint32),
        ("restore_best", c_uint32),
        ("monitor_mode", c_uint32),
        ("progress_batches", c_uint32),
        ("min_delta", c_double),
        ("monitor", c_char_p),
        ("progress", lstm_progress_callback),
        ("progress_user", c_void_p),
        ("log", lstm_log_callback),
        ("log_user", c_void_p),
        ("log_level", c_int32),
        ("reserved", c_uint32),
        ("threads", c_uint32),
        ("bptt_steps", c_uint32),
        ("resume", c_uint32),
        ("reduce_on_plateau", c_uint32),
        ("plateau_patience", c_uint32),
        ("plateau_cooldown", c_uint32),
        ("plateau_mode", c_uint32),
        ("reserved_3", c_uint32),
        ("plateau_factor", c_double),
        ("plateau_min_delta", c_double),
        ("plateau_min_rate", c_double),
        ("plateau_monitor", c_char_p),
        ("steps_per_epoch", c_size_t),
        ("validation", POINTER(lstm_data)),
    )


class lstm_history(Structure):
    _fields_ = (
        ("struct_size", c_uint32),
        ("columns", c_uint32),
        ("capacity", c_size_t),
        ("rows", c_size_t),
        ("values", POINTER(c_double)),
        ("names", c_char_p * LSTM_MAX_COLUMNS),
    )


lstm_token_callback = CFUNCTYPE(c_int, c_size_t, c_size_t, c_int32, c_double, c_void_p)


class lstm_generate_options(Structure):
    _fields_ = (
        ("struct_size", c_uint32),
        ("sequences", c_uint32),
        ("max_length", c_size_t),
        ("min_length", c_size_t),
        ("end_tokens", POINTER(c_int32)),
        ("end_count", c_size_t),
        ("suppressed", POINTER(c_int32)),
        ("suppressed_count", c_size_t),
        ("temperature", c_double),
        ("top_k", c_uint32),
        ("beams", c_uint32),
        ("top_p", c_double),
        ("repetition_penalty", c_double),
        ("length_penalty", c_double),
        ("seed", c_uint64),
        ("threads", c_uint32),
        ("reserved", c_uint32),
        ("token", lstm_token_callback),
        ("token_user", c_void_p),
    )


class lstm_decoding(Structure):
    _fields_ = (
        ("struct_size", c_uint32),
        ("beam_width", c_uint32),
        ("best", c_uint32),
        ("blank", c_uint32),
        ("probabilities", c_uint32),
        ("reserved", c_uint32),
    )


_empty = POINTER(lstm_array)
lstm_source = CFUNCTYPE(c_int, c_uint64, c_size_t, _empty, _empty, _empty, c_void_p)

_model, _trainer, _predictor = POINTER(lstm_model), POINTER(lstm_trainer), POINTER(lstm_predictor)
_stream, _generator = POINTER(lstm_stream), POINTER(lstm_generator)
_array, _options, _history = POINTER(lstm_array), POINTER(lstm_options), POINTER(lstm_history)
_floats, _doubles, _integers = POINTER(c_float), POINTER(c_double), POINTER(c_int64)
_size, _data = POINTER(c_size_t), POINTER(lstm_data)
_tokens, _generate = POINTER(c_int32), POINTER(lstm_generate_options)
_decoding = POINTER(lstm_decoding)

# The result and the arguments of every function of the header, in its order.
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "lstm_version": (c_char_p, []),
    "lstm_build_info": (c_char_p, []),
    "lstm_use_kernels": (c_int, [c_char_p]),
    "lstm_kernels": (c_char_p, []),
    "lstm_strerror": (c_char_p, [c_int]),
    "lstm_last_error": (c_char_p, []),
    "lstm_array_init": (c_int, [_array, c_size_t, c_uint32, c_void_p, c_uint32, POINTER(c_int64)]),
    "lstm_data_init": (c_int, [_data, c_size_t]),
    "lstm_create": (c_int, [c_char_p, POINTER(lstm_allocator), POINTER(_model)]),
    "lstm_clone": (c_int, [_model, POINTER(_model)]),
    "lstm_compress": (c_int, [_model, c_uint32, POINTER(_model)]),
    "lstm_free": (None, [_model]),
    "lstm_summary": (c_int, [_model, c_char_p, c_size_t, _size]),
    "lstm_describe": (c_int, [_model, c_char_p, c_size_t, _size]),
    "lstm_adapt": (c_int, [_model, _array]),
    "lstm_adapt_many": (c_int, [_model, _data]),
    "lstm_output_shape": (c_int, [_model, _array, POINTER(c_int64), POINTER(c_uint32)]),
    "lstm_output_shape_many": (c_int, [_model, _data, c_uint32, POINTER(c_int64), POINTER(c_uint32)]),
    "lstm_parameter_count": (c_int, [_model, _size]),
    "lstm_parameter_info": (c_int, [_model, c_size_t, POINTER(lstm_parameter)]),
    "lstm_get_parameter": (c_int, [_model, c_char_p, _floats, c_size_t, _size]),
    "lstm_set_parameter": (c_int, [_model, c_char_p, _floats, c_size_t]),
    "lstm_compile": (c_int, [_model, c_char_p]),
    "lstm_options_init": (c_int, [_options, c_size_t]),
    "lstm_history_init": (c_int, [_history, c_size_t, _doubles, c_size_t]),
    "lstm_train": (c_int, [_model, _array, _array, _options, _history]),
    "lstm_evaluate": (c_int, [_model, _array, _array, _options, _history]),
    "lstm_train_many": (c_int, [_model, _data, _options, _history]),
    "lstm_evaluate_many": (c_int, [_model, _data, _options, _history]),
    "lstm_train_from": (c_int, [_model, lstm_source, c_void_p, _options, _history]),
    "lstm_evaluate_from": (c_int, [_model, lstm_source, c_void_p, _options, _history]),
    "lstm_learning_rate": (c_int, [_model, _doubles]),
    "lstm_set_learning_rate": (c_int, [_model, c_double]),
    "lstm_serve_average": (c_int, [_model, c_uint32]),
    "lstm_confusion_matrix": (c_int, [_model, _array, _array, _options, _integers, c_size_t, _size]),
    "lstm_trainer_create": (c_int, [_model, POINTER(_trainer)]),
    "lstm_trainer_step": (c_int, [_trainer, _array, _array, _array, _doubles]),
    "lstm_trainer_step_many": (c_int, [_trainer, _data, _doubles]),
    "lstm_trainer_set_class_weights": (c_int, [_trainer, _doubles, c_size_t]),
    "lstm_trainer_gradient": (c_int, [_trainer, c_char_p, _floats, c_size_t, _size]),
    "lstm_trainer_gradient_norms": (c_int, [_trainer, _doubles, c_size_t, _size]),
    "lstm_trainer_set_learning_rate": (c_int, [_trainer, c_double]),
    "lstm_trainer_learning_rate": (c_int, [_trainer, _doubles]),
    "lstm_trainer_set_threads": (c_int, [_trainer, c_uint32]),
    "lstm_trainer_carry": (c_int, [_trainer, c_uint32]),
    "lstm_trainer_reset_state": (c_int, [_trainer]),
    "lstm_trainer_free": (None, [_trainer]),
    "lstm_predict": (c_int, [_model, _array, _options, _floats, c_size_t, _size]),
    "lstm_predict_many": (c_int, [_model, _data, _options, _floats, c_size_t, _size]),
    "lstm_predictor_create": (c_int, [_model, c_uint32, POINTER(_predictor)]),
    "lstm_predictor_run": (c_int, [_predictor, _array, _floats, c_size_t, _size]),
    "lstm_predictor_run_many": (c_int, [_predictor, _data, _floats, c_size_t, _size]),
    "lstm_predictor_free": (None, [_predictor]),
    "lstm_inspect": (
        c_int,
        [_model, _array, c_char_p, c_char_p, _integers, POINTER(c_uint32), _floats, c_size_t, _size],
    ),
    "lstm_inspect_many": (
        c_int,
        [_model, _data, c_char_p, c_char_p, _integers, POINTER(c_uint32), _floats, c_size_t, _size],
    ),
    "lstm_saliency": (
        c_int,
        [_model, _array, c_size_t, c_uint32, _integers, POINTER(c_uint32), _floats, c_size_t, _size],
    ),
    "lstm_decoding_init": (c_int, [_decoding, c_size_t]),
    "lstm_ctc_decode": (c_int, [_array, _decoding, _integers, c_size_t, _size, _doubles, c_size_t]),
    "lstm_decode": (c_int, [_model, _array, _decoding, _integers, c_size_t, _size, _doubles, c_size_t]),
    "lstm_stream_create": (c_int, [_model, POINTER(_stream)]),
    "lstm_stream_sizes": (c_int, [_stream, _size, _size]),
    "lstm_stream_step": (c_int, [_stream, _floats, c_size_t, _floats, c_size_t]),
    "lstm_stream_process": (c_int, [_stream, c_size_t, _floats, c_size_t, _floats, c_size_t]),
    "lstm_stream_forecast": (c_int, [_stream, c_size_t, _floats, c_size_t, _floats, c_size_t]),
    "lstm_streams_step": (c_int, [POINTER(_stream), c_size_t, _floats, c_size_t, _floats, c_size_t, c_uint32]),
    "lstm_stream_keep": (c_int, [_stream, c_size_t]),
    "lstm_stream_set_threads": (c_int, [_stream, c_uint32]),
    "lstm_stream_reset": (c_int, [_stream]),
    "lstm_stream_get_state": (c_int, [_stream, _floats, c_size_t, _size]),
    "lstm_stream_set_state": (c_int, [_stream, _floats, c_size_t]),
    "lstm_stream_free": (None, [_stream]),
    "lstm_set_publishing": (c_int, [_model, c_uint32]),
    "lstm_publish": (c_int, [_model, _model]),
    "lstm_trainer_learn": (c_int, [_trainer, _stream, _array, _doubles]),
    "lstm_tokenize": (c_int, [_model, c_char_p, _tokens, c_size_t, _size]),
    "lstm_detokenize": (c_int, [_model, _tokens, c_size_t, c_char_p, c_size_t, _size]),
    "lstm_generate_options_init": (c_int, [_generate, c_size_t]),
    "lstm_generate": (c_int, [_model, _array, _generate, _tokens, c_size_t, _size, _doubles]),
    "lstm_generate_from": (c_int, [_model, _array, _array, _generate, _tokens, c_size_t, _size, _doubles]),
    "lstm_generator_create": (c_int, [_model, _array, _generate, POINTER(_generator)]),
    "lstm_generator_create_from": (c_int, [_model, _array, _array, _generate, POINTER(_generator)]),
    "lstm_generator_next": (c_int, [_generator, _tokens, _doubles]),
    "lstm_generator_free": (None, [_generator]),
    "lstm_save": (c_int, [_model, c_char_p, c_uint32]),
    "lstm_save_buffer": (c_int, [_model, c_uint32, c_void_p, c_size_t, _size]),
    "lstm_load": (c_int, [c_char_p, POINTER(lstm_allocator), POINTER(_model)]),
    "lstm_load_buffer": (c_int, [c_void_p, c_size_t, POINTER(lstm_allocator), POINTER(_model)]),
}

_FILE = "liblstm.so.1"


def find() -> str:
    """The library beside this file (an installed package), in the source tree's build folder, or the system's."""
    here = os.path.dirname(os.path.abspath(__file__))
    places = (os.path.join(here, _FILE), os.path.join(here, "..", "..", "..", "build", _FILE))
    return next(filter(os.path.exists, map(os.path.abspath, places)), _FILE)


def load(path: str) -> Any:
    """Opens the library at `path` and declares its functions. ImportError: it is not there, or too old."""
    try:
        opened = CDLL(path)
        for name, (result, arguments) in FUNCTIONS.items():
            function = getattr(opened, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise ImportError(f"lstm: cannot use {path}: {error}; `make` in the source tree builds it") from None
    return opened


# Typed Any: ctypes checks each call against FUNCTIONS.
library: Any = load(find())

_EXCEPTIONS: dict[int, type[Exception]] = {
    LSTM_ERR_ARG: ValueError,
    LSTM_ERR_TYPE: TypeError,
    LSTM_ERR_NOMEM: MemoryError,
    LSTM_ERR_IO: OSError,
    LSTM_ERR_FORMAT: FormatError,
    LSTM_ERR_VERSION: FormatError,
    LSTM_ERR_DIVERGED: DivergedError,
    LSTM_ERR_UNSUPPORTED: UnsupportedError,
}


def check(code: int) -> int:
    """Returns a code that is no error; raises the exception that fits an error, with the library's own words."""
    if code >= 0:
        return code
    text = library.lstm_last_error() or library.lstm_strerror(code)
    raise _EXCEPTIONS.get(code, RuntimeError)(text.decode("utf-8", "replace"))

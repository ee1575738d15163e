"""The golden files: cases of JSON and arrays in one .npz, readable with numpy alone.

A file holds the entry "index", the UTF-8 text of a JSON list of cases, and the arrays that it names as {"array": key}.
Equal arrays are stored once. Floating-point arrays are float32, losses and metrics are JSON numbers in full precision.
"""

import hashlib
import json

import numpy as np


class GoldenWriter:
    """Collects cases (dictionaries of JSON values and arrays, nested as they like) for one file."""

    def __init__(self):
        self.arrays = {}
        self.keys = {}
        self.cases = []

    def add(self, case):
        self.cases.append(self._reference(case))

    def save(self, path):
        index = np.frombuffer(json.dumps(self.cases).encode(), dtype=np.uint8)
        np.savez_compressed(path, index=index, **self.arrays)

    def _reference(self, value):
        if isinstance(value, dict):
            return {key: self._reference(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._reference(entry) for entry in value]
        if not isinstance(value, np.ndarray):
            return value
        if value.dtype == np.float64:
            value = value.astype(np.float32)
        if not np.isfinite(value).all():
            raise ValueError("a golden value is not finite")
        value = np.ascontiguousarray(value)
        digest = hashlib.sha256(str((value.dtype, value.shape)).encode() + value.tobytes()).hexdigest()
        if digest not in self.keys:
            self.keys[digest] = f"a{len(self.keys)}"
            self.arrays[self.keys[digest]] = value
        return {"array": self.keys[digest]}


def load(path):
    """The list of cases of a golden file, every array in its place."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    index = arrays.pop("index").tobytes().decode()
    return json.loads(index, object_hook=lambda entry: arrays[entry["array"]] if "array" in entry else entry)

"""Files: bad paths, full disks, other people's files, and a save that fails or is killed at any moment."""

import ctypes
import os
import signal
import struct
import subprocess

import harness
import pytest
from refusals import NUMBERS, refused


@pytest.fixture(scope="module")
def model(lib):
    return lib.model(NUMBERS)


def load(lib, path):
    model = ctypes.c_void_p()
    lib.load(os.fsencode(path), None, ctypes.byref(model))
    return model.value


def saved_to(lib, model, path):
    return lib.save(model, os.fsencode(path), 0)


def test_file_that_is_not_there(lib, tmp_path):
    refused(lambda: load(lib, tmp_path / "none.safetensors"), f"IO: {tmp_path}/none.safetensors no such file")


def test_folder_as_a_path(lib, model, tmp_path):
    refused(lambda: load(lib, tmp_path), f"IO: {tmp_path} directory")
    refused(lambda: saved_to(lib, model, tmp_path), f"IO: {tmp_path} directory")
    assert list(tmp_path.iterdir()) == []


def test_pipe_does_not_hang(lib, model, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    signal.alarm(10)
    refused(lambda: load(lib, tmp_path / "pipe"), f"IO: {tmp_path}/pipe")
    refused(lambda: saved_to(lib, model, tmp_path / "pipe"), f"IO: {tmp_path}/pipe")
    signal.alarm(0)
    assert (tmp_path / "pipe").is_fifo()


def test_save_into_a_missing_folder(lib, model, tmp_path):
    refused(lambda: saved_to(lib, model, tmp_path / "no" / "a"), f"IO: {tmp_path}/no/a no such file")


def test_path_that_is_too_long(lib, model, tmp_path):
    refused(lambda: saved_to(lib, model, tmp_path / ("n" * 300)), "IO: file name too long")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\0" * 8,
        b"\xff" * 64,
        b"hello, this is a text\n" * 9,
        struct.pack("<Q", 2) + b"{}",
        b"PK\3\4" + bytes(99),
    ],
    ids=["empty", "one byte", "zeros", "ones", "text", "safetensors of nothing", "zip"],
)
def test_file_that_is_no_model(lib, tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    refused(lambda: load(lib, path), "FORMAT:")
    refused(lambda: lib.loaded(content), "FORMAT:")


def test_another_program_s_safetensors_file(lib, tmp_path):
    header = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"format":"pt"}}'
    refused(lambda: lib.loaded(struct.pack("<Q", len(header)) + header + bytes(8)), "FORMAT:")


def test_save_keeps_a_link_and_its_mode(lib, model, tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "real").chmod(0o600)
    (tmp_path / "link").symlink_to("real")
    saved_to(lib, model, tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == lib.saved(model)
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o600


def test_file_is_the_buffer_and_loads(lib, model, tmp_path):
    saved_to(lib, model, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == lib.saved(model) == lib.saved(load(lib, tmp_path / "a"))


def test_full_disk(library, workshop, tmp_path):
    """A file system of 64 KB when root can mount one; a limit on the size of a file for everybody."""
    program = workshop.compile(harness.ABI / "full_disk.c")
    output = harness.check([program, library, "limit"], cwd=tmp_path)
    assert "file too large" in output
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True).returncode != 0:
        return
    try:
        assert "no space left on device" in harness.check([program, library, "disk"], cwd=disk)
    finally:
        harness.check(["umount", disk])


@pytest.mark.parametrize("mode", ["fail", "partial", "kill", "random"])
def test_save_interrupted(library, workshop, tmp_path, mode, capsys):
    program = workshop.compile(harness.ABI / "save_faults.c", flags=("-rdynamic", "-Wno-deprecated-declarations"))
    output = harness.check([program, library, mode], cwd=tmp_path)
    if mode == "fail":
        for operation in ["open", "write", "fsync", "close", "rename"]:
            assert harness.figure(output, f"{operation}_eio") > 0 and harness.figure(output, f"{operation}_enospc") > 0
    if mode == "kill":
        assert harness.figure(output, "kills") >= 10
    if mode == "random":
        assert harness.figure(output, "old_files") > 0 and harness.figure(output, "new_files") > 0
    harness.report(capsys, f"save, {mode}: {', '.join(output.split()) or 'whole'}")

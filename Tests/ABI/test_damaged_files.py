"""Damaged model files: none kills, hangs, or is taken for a model.

Raw damage (damage.c) must always be refused. Damage under a right checksum (safetensors_damage.py) may leave a sound
model, as another seed does: then it must be whole and agree with its own description.
"""

import random
import struct

import harness
import pytest
import safetensors_damage
from refusals import refused

SAMPLES = ["numbers", "weights", "text", "begun", "bf16", "int8"]


@pytest.fixture(scope="module")
def program(workshop):
    return workshop.compile(harness.ABI / "damage.c")


@pytest.fixture(scope="module")
def samples(program, library, tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    harness.check([program, library, "make"], cwd=folder)
    return folder


def test_layout_is_the_documented_one(samples):
    """An independent reader, with zlib's CRC, gives back the very bytes of each sample."""
    for name in SAMPLES:
        file = (samples / f"{name}.safetensors").read_bytes()
        header, data = safetensors_damage.split(file)
        length = struct.unpack("<Q", file[:8])[0]
        assert file[8:].startswith(safetensors_damage.OPENING) and length % 8 == 0
        assert safetensors_damage.join(file[8 : 8 + length], data) == file
        end = max(dict(tensor)["data_offsets"][1] for key, tensor in header if key != "__metadata__")
        assert end == len(data)


def test_raw_damage_is_always_refused(program, library, samples, tmp_path, capsys):
    total = 0
    for name in SAMPLES:
        result = harness.run([program, library, "raw", samples / f"{name}.safetensors"], cwd=tmp_path, timeout=300)
        assert result.returncode == 0, harness.describe(["damage"], result)
        harness.assert_no_findings(result.stdout)
        assert harness.figure(result.stdout, "accepted") == 0
        total += harness.figure(result.stdout, "loads")
    harness.report(capsys, f"{total} files with raw damage, all refused")
    assert total >= 20_000


@pytest.mark.parametrize("name", SAMPLES)
def test_damage_under_a_right_checksum(program, library, samples, tmp_path, name, capsys):
    file = (samples / f"{name}.safetensors").read_bytes()
    damages = safetensors_damage.all_damages(file, 1000, random.Random(name))
    corpus = b"".join(struct.pack("<Q", len(damaged)) + damaged for damaged in damages)
    (tmp_path / "corpus").write_bytes(corpus)
    result = harness.run([program, library, "corpus", tmp_path / "corpus"], cwd=tmp_path, timeout=300)
    assert result.returncode == 0, harness.describe(["damage"], result)
    harness.assert_no_findings(result.stdout)
    loads, accepted = harness.figure(result.stdout, "loads"), harness.figure(result.stdout, "accepted")
    harness.report(capsys, f"{name}: {loads} files damaged under a right checksum, {accepted} of them sound models")
    # Both happen, or the checks behind the checksum were never reached.
    assert 0 < accepted < loads / 2


def test_newer_version_is_told_from_damage(lib, samples):
    header, data = safetensors_damage.split((samples / "numbers.safetensors").read_bytes())
    newer = safetensors_damage.text_of(header).replace('"format_version": "1"', '"format_version": "2"')
    refused(lambda: lib.loaded(safetensors_damage.join(newer, data)), "VERSION: version 1 2")


def test_an_accepted_damage_would_be_seen(program, samples, workshop, tmp_path):
    stub = workshop.stub(harness.stub_source({}), "credulous")
    output = harness.run([program, stub, "raw", samples / "weights.safetensors"], cwd=tmp_path).stdout
    assert len(harness.findings(output)) > 1000 and "a damaged file was accepted" in output

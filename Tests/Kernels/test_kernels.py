"""The kernels in C alone: every set against double, those of AArch64 in qemu, and how many instructions they take."""

import json
import shutil

import kernels
import pytest


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    return [kernels.compile_with_kernels(kernels.CHECKS, tmp_path_factory.mktemp("native"))]


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    for tool in ["qemu-aarch64", f"{kernels.ARM}-gcc"]:
        assert shutil.which(tool), f"{tool} is missing: tools/setup installs it"
    program = kernels.compile_with_kernels(kernels.CHECKS, tmp_path_factory.mktemp("arm"), kernels.ARM)
    return ["qemu-aarch64", program]


@pytest.mark.parametrize("set_name", ["baseline", "avx2", "avx512"])
def test_native(native, tmp_path, set_name):
    done = kernels.run([*native, set_name], tmp_path)
    if done.returncode == 2:
        pytest.skip(f"this processor has no {set_name}")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(": 0 wrong") == 6


@pytest.mark.parametrize("set_name", ["baseline", "neon"])
def test_arm(arm, tmp_path, set_name):
    done = kernels.run([*arm, set_name], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": 0 wrong") == 6


def test_instructions(tmp_path):
    """A kernel may take 3 % more instructions than recorded; kernels.py tells how to record anew."""
    recorded = json.loads(kernels.COUNTS.read_text())
    counts = kernels.count_instructions(tmp_path)
    assert counts.keys() == recorded.keys()
    grown = {name: (recorded[name], count) for name, count in counts.items() if count > 1.03 * recorded[name]}
    assert not grown, f"recorded and now: {grown}"

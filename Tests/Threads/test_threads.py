"""The team of threads by itself, without the library around it, and how many threads a process may have."""

import os
import shutil

import harness
import pytest

SHIM = harness.ROOT / "Sources" / "CLSTMShim"
FOLDER = harness.ROOT / "Tests" / "Threads"
NONE = 2**31 - 1


def build(workshop, program: str, compiler: str = "gcc", flags: tuple[str, ...] = ()):
    parts = [SHIM / name for name in ("team.c", "processors.c", "float_modes.c", "shim.c")]
    return workshop.compile(FOLDER / program, *parts, compiler=compiler, flags=(f"-I{SHIM / 'include'}", *flags))


def test_team(workshop):
    harness.check([build(workshop, "team.c")], timeout=300)


def test_team_on_one_core(workshop):
    core = min(os.sched_getaffinity(0))
    harness.check([shutil.which("taskset"), "-c", core, build(workshop, "team.c")], timeout=300)


def test_team_under_thread_sanitizer(workshop):
    program = build(workshop, "team.c", harness.CLANG, harness.sanitizer_flags("thread"))
    harness.check([program, "sanitized"], timeout=300)


# Mounts as Linux lists them; the fields between the options and the dash are optional.
V2 = "30 23 0:26 {root} {mount} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "32 31 0:29 {root} {mount} rw,relatime - cgroup cgroup rw,{controllers}\n"
OTHER = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw,cpu\n"
MOUNT = "/sys/fs/cgroup"


def at_v2(root: str = "/", mount: str = MOUNT) -> str:
    return OTHER + V2.format(root=root, mount=mount)


def at_v1(root: str = "/", mount: str = f"{MOUNT}/cpu,cpuacct", controllers: str = "cpu,cpuacct") -> str:
    memory = V1.format(root="/", mount=f"{MOUNT}/memory", controllers="memory")
    return OTHER + memory + V1.format(root=root, mount=mount, controllers=controllers)


# What /proc/self/cgroup and mountinfo say, the files of the groups, and how many processors that leaves.
CASES = {
    "nothing at all": ("", "", {}, NONE),
    "no quota": ("0::/a\n", at_v2(), {f"{MOUNT}/a/cpu.max": "max 100000\n"}, NONE),
    "whole": ("0::/a\n", at_v2(), {f"{MOUNT}/a/cpu.max": "300000 100000\n"}, 3),
    "rounded up": ("0::/a\n", at_v2(), {f"{MOUNT}/a/cpu.max": "300001 100000\n"}, 4),
    "less than one": ("0::/a\n", at_v2(), {f"{MOUNT}/a/cpu.max": "1000 100000\n"}, 1),
    "at the mount": ("0::/\n", at_v2(), {f"{MOUNT}/cpu.max": "200000 100000\n"}, 2),
    "of a parent": (
        "0::/a/b/c\n",
        at_v2(),
        {
            f"{MOUNT}/a/b/c/cpu.max": "500000 100000\n",
            f"{MOUNT}/a/b/cpu.max": "max 100000\n",
            f"{MOUNT}/a/cpu.max": "40000 20000\n",
            f"{MOUNT}/d/cpu.max": "100 100000\n",
            "/cpu.max": "100 100000\n",
        },
        2,
    ),
    "of a group whose name another's begins with": (
        "0::/pod-1\n",
        at_v2("/pod"),
        {f"{MOUNT}/cpu.max": "300000 100000\n", f"{MOUNT}-1/cpu.max": "1 100000\n"},
        3,
    ),
    "a container that sees its own branch": (
        "0::/docker/1f/job\n",
        at_v2("/docker/1f"),
        {f"{MOUNT}/job/cpu.max": "300000 100000\n", f"{MOUNT}/docker/1f/job/cpu.max": "1 100000\n"},
        3,
    ),
    "outside the namespace": ("0::/../x\n", at_v2(), {f"{MOUNT}/cpu.max": "200000 100000\n"}, 2),
    "a mount with a space": (
        "0::/a\n",
        at_v2(mount=r"/my\040groups"),
        {"/my groups/a/cpu.max": "200000 100000\n"},
        2,
    ),
    "version 1": (
        "4:memory:/m\n3:cpu,cpuacct:/a:b\n2:cpuset:/c\n",
        at_v1(),
        {
            f"{MOUNT}/cpu,cpuacct/a:b/cpu.cfs_quota_us": "250000\n",
            f"{MOUNT}/cpu,cpuacct/a:b/cpu.cfs_period_us": "100000\n",
            f"{MOUNT}/memory/a:b/cpu.cfs_quota_us": "1\n",
            f"{MOUNT}/memory/a:b/cpu.cfs_period_us": "1\n",
        },
        3,
    ),
    "version 1, no quota but the parent's": (
        "3:cpu:/a/b\n",
        at_v1(controllers="cpu"),
        {
            f"{MOUNT}/cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1\n",
            f"{MOUNT}/cpu,cpuacct/a/b/cpu.cfs_period_us": "100000\n",
            f"{MOUNT}/cpu,cpuacct/a/cpu.cfs_quota_us": "700000",
            f"{MOUNT}/cpu,cpuacct/a/cpu.cfs_period_us": "100000",
        },
        7,
    ),
    "both versions": (
        "3:cpu:/a\n0::/b\n",
        at_v1() + V2.format(root="/", mount=f"{MOUNT}/unified"),
        {
            f"{MOUNT}/cpu,cpuacct/a/cpu.cfs_quota_us": "500000\n",
            f"{MOUNT}/cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
            f"{MOUNT}/unified/b/cpu.max": "400000 100000\n",
        },
        4,
    ),
    "no cpu controller": (
        "3:cpuset,cpuacct:/a\n",
        at_v1(controllers="cpuset,cpuacct"),
        {
            f"{MOUNT}/cpu,cpuacct/a/cpu.cfs_quota_us": "500000\n",
            f"{MOUNT}/cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
        },
        NONE,
    ),
    "garbage": (
        "0\n0:\n:::\n0::\n0::/a" + "x" * 9000 + "\n0::/a\n",
        "1 2\n - cgroup2\n1 2 3 / - cgroup2 x rw\n" + "9" * 9000 + "\n" + at_v2(),
        {f"{MOUNT}/a/cpu.max": "200000 100000\n", f"{MOUNT}/cpu.max": "99999999999999999999999 1\n"},
        2,
    ),
    "a period of zero": ("0::/a\n", at_v2(), {f"{MOUNT}/a/cpu.max": "200000 0\n"}, NONE),
    "half a line": ("0::/a\n", at_v2(), {f"{MOUNT}/a/cpu.max": "200000"}, NONE),
    "no line": ("0::/a\n", at_v2(), {f"{MOUNT}/a/cpu.max": ""}, NONE),
}


@pytest.mark.parametrize("name", CASES)
def test_quota(workshop, tmp_path, name):
    groups, mounts, files, expected = CASES[name]
    for path, text in {"/proc/self/cgroup": groups, "/proc/self/mountinfo": mounts, **files}.items():
        file = tmp_path / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    output = harness.check([build(workshop, "quota.c"), tmp_path])
    assert harness.figure(output, "quota") == expected


def test_processors_keep_to_the_affinity(workshop):
    program = build(workshop, "quota.c")
    own = os.sched_getaffinity(0)
    output = harness.check([program, "/nowhere"])
    assert harness.figure(output, "affinity") == len(own)
    assert 1 <= harness.figure(output, "processors") <= len(own)
    assert harness.figure(output, "leaks") == 0
    output = harness.check([shutil.which("taskset"), "-c", min(own), program, "/nowhere"])
    assert harness.figure(output, "processors") == harness.figure(output, "affinity") == 1

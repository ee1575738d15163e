"""What the machine is and can do, and what a process takes of it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

from contender import BUILD, HERE, prefer


def busy(processor: int) -> subprocess.Popen:
    code = f"import os\nos.sched_setaffinity(0, [{processor}])\nwhile True: pass"
    return subprocess.Popen([sys.executable, "-c", code])


def machine(priority: bool, *arguments: str) -> dict:
    """The limits that machine.c measures."""
    process = subprocess.Popen(
        [BUILD / "machine", *arguments], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    if priority:
        prefer(process)
    return json.loads(process.communicate()[0])


def about() -> dict:
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "")
    kernel = f"{platform.system()} {platform.release()}"
    return {
        "processor": model,
        "processors": len(os.sched_getaffinity(0)),
        "system": kernel,
        "python": platform.python_version(),
    }


def memory(name: str) -> dict:
    """Of a fresh process of ours."""
    done = subprocess.run([sys.executable, HERE / "ours.py", name], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr.strip().splitlines()[-1]}

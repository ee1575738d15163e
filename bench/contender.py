"""A contender: a worker's process, which is stopped except while it answers, so that no idle thread of it spins."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from figures import OURS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ROOT / "build/bench"

# Name in the tables: module and tier.
CONTENDERS = {
    OURS: ("ours", ""),
    "liblstm bf16": ("ours", "bf16"),
    "liblstm int8": ("ours", "int8"),
    "liblstm from Python": ("ours", "python"),
    "liblstm, 2 threads": ("ours", "two threads"),
    "liblstm, block call": ("ours", "block"),
    "liblstm, one by one": ("ours", "one by one"),
    "liblstm, 1 thread": ("ours", "one thread"),
    "PyTorch": ("peer_torch", ""),
    "Keras": ("peer_keras", ""),
    "JAX": ("peer_jax", ""),
    "ONNX Runtime": ("peer_onnxruntime", ""),
    "OpenVINO": ("peer_openvino", ""),
    "OpenVINO bf16": ("peer_openvino", "bf16"),
}

# Making ready includes compiling every variant.
PATIENCE = 600
# A stopped process is given this long to be running again in all its threads.
WAKE_SECONDS = 0.01


class Failure(Exception):
    pass


class Contender:
    """What is asked of it is said in worker.py."""

    def __init__(self, name: str, priority: bool) -> None:
        module, tier = CONTENDERS[name]
        self.name = name
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("OPENBLAS_", "OMP_"))}
        environment.update(TF_CPP_MIN_LOG_LEVEL="3", TORCHINDUCTOR_CACHE_DIR=str(BUILD / "inductor"))
        with open(BUILD / f"{name}.log", "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "worker.py"), module, tier],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                start_new_session=True,
            )
        if priority:
            prefer(self.process)
        self.version = self._answer()["version"]
        self._stop()

    def ask(self, **request: object) -> dict:
        """The answer. Failure: the worker has failed, or is gone; NotYet is an answer."""
        self.process.send_signal(signal.SIGCONT)
        time.sleep(WAKE_SECONDS)
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        try:
            answer = self._answer()
        finally:
            self._stop()
        if "failed" in answer:
            raise Failure(answer["failed"])
        return answer

    def _answer(self) -> dict:
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            self.process.kill()
            raise Failure(f"no answer; see {BUILD.name}/{self.name}.log")
        return json.loads(line)

    def _stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def cpu_seconds(self) -> float:
        """Processor time of this process and of children that have ended."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """Processor time of everything on this machine, and what its host took away."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def prefer(process: subprocess.Popen) -> None:
    """Gives a session, with all its threads, nearly all the time that others would take; only the superuser may."""
    Path(f"/proc/{process.pid}/autogroup").write_text("-20")

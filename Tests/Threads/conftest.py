import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "ABI"))

from harness import header, library, workshop  # noqa: E402, F401 - fixtures

"""The programs that README.md shows are compiled and run as they stand there."""

import re
import sys

from conftest import ROOT, run


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def answer_and_expected(output: str) -> tuple[float, float]:
    match = re.search(r"(-?\d+\.\d+), expected (-?\d+\.\d+)", output)
    assert match, output
    return float(match[1]), float(match[2])


def test_c_program(installed, tmp_path):
    (text,) = snippets("c")
    source = tmp_path / "snippet.c"
    source.write_text(text)
    answer, expected = answer_and_expected(installed.run(installed.compile(source), folder=tmp_path))
    assert abs(answer - expected) < 0.1


def test_python_program(tmp_path):
    (text,) = snippets("python")
    answer, expected = answer_and_expected(run(sys.executable, "-c", text, folder=tmp_path))
    assert abs(answer - expected) < 0.1

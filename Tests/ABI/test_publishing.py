"""Publishing weights to a model that other threads read: publishing.c says what is looked at."""

import harness


def test_every_answer_is_that_of_one_version(library, workshop):
    program = workshop.compile(harness.ABI / "publishing.c")
    assert "versions equal" in harness.check([program, library, 250], timeout=300)

"""Publishing weights to a model that other threads read: publishing.c says what is looked at."""

import harness


def test_every_answer_is_that_of_one_version(library, workshop):
    assert "versions equal" in harness.check([workshop.compile(harness.ABI / "publishing.c"), library, 250], timeout=300)

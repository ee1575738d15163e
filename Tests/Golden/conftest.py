"""Prints the largest error of each group after the tests: the figures of the release notes."""

import pytest

ERRORS = pytest.StashKey[dict]()


def pytest_configure(config):
    config.stash[ERRORS] = {}


@pytest.fixture(scope="session")
def errors(pytestconfig):
    """{(group, quantity): (largest error, limit)}"""
    return pytestconfig.stash[ERRORS]


def pytest_terminal_summary(terminalreporter, config):
    groups = {}
    for (group, quantity), (error, limit) in config.stash[ERRORS].items():
        groups.setdefault(group, []).append(f"{quantity} {error:.1e} (limit {limit:.0e})")
    if groups:
        terminalreporter.section("largest errors against the golden values")
    for group, quantities in groups.items():
        terminalreporter.write_line(f"{group}: {', '.join(quantities)}")

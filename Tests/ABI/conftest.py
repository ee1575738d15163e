from harness import header, library, workshop  # noqa: F401 - fixtures

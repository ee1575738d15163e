import binding
import pytest
from harness import header, library, workshop  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def lib(library):  # noqa: F811
    return binding.Library(library)

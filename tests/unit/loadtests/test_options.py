"""The options of the load test."""

from __future__ import annotations

import pytest

from loadtests.options import base_url


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://h:3000", "http://h:3000"),
        ("http://h:3000/", "http://h:3000"),
        ("https://h/models/cats//", "https://h/models/cats"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
    ],
)
def test_the_slash_at_the_end_of_the_host_does_not_matter(given: str, used: str) -> None:
    """The kind: an address that people copy from a browser, which adds the slash."""
    assert base_url(given) == used


@pytest.mark.parametrize(
    "given",
    [None, "", "localhost:3000", "127.0.0.1", "http://", "ftp://h", "http://h:x", "http://[::1", "http://h/?a=b"],
)
def test_what_is_no_address_is_named_with_an_example(given: str | None) -> None:
    with pytest.raises(ValueError, match=r"^--host .*: give the service's address, such as http://127.0.0.1:3000$"):
        base_url(given)

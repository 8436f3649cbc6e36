"""The cores do exactly what the vectors say."""

from __future__ import annotations

import pytest

from tests.vectors import Run, vectors

ALL = dict(vectors())


@pytest.mark.parametrize("name", ALL)
def test_the_core_does_what_the_vector_says(name: str) -> None:
    Run(ALL[name]).play()


def test_every_vector_has_a_name_of_its_own() -> None:
    assert len(ALL) == len(list(vectors())) > 80

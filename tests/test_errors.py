"""Extras that fail are a warning of one line; an interruption is none."""

import pytest

from genie_gym.errors import failing_softly


def test_an_error_becomes_a_warning():
    said = "the film failed and is left out .ValueError: two lines."
    with pytest.warns(UserWarning, match=said) as warned, failing_softly("the film"):
        raise ValueError("two\nlines")
    assert "\n" not in str(warned[0].message) and warned[0].filename == __file__


def test_an_interruption_goes_on():
    with pytest.raises(KeyboardInterrupt), failing_softly("the film"):
        raise KeyboardInterrupt

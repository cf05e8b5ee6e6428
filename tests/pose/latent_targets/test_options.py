import pytest

from semamb_mm.pose.latent_targets.options import check_options


def test_options_are_checked_by_name_then_by_their_function():
    with pytest.raises(ValueError, match=r"x: unknown \['b'\]; known are \['a'\]"):
        check_options("x: unknown", ["a"], dict(b=1), lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        check_options("x: unknown", ["a"], dict(a=1), lambda: 1 / 0)

"""Options that are handed on to a function are checked before the long work starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches


def check_options(
    complaint: str, known: Iterable[str], options: dict, call: Callable[[], object]
) -> None:
    """Check names here, and values by the function itself on stand-ins.

    So each rule for a value stands once, in the function that uses it.

    Args:
        complaint: Beginning of the message about an unknown name.
        known: The names that the function takes.
        options: The options to check.
        call: Calls the function with the options, on the smallest data that will do.

    Raises:
        ValueError: On an unknown name, or what the function raises on a value.
        TypeError: What the function raises on a value of a wrong type.
    """
    known = sorted(known)
    unknown = sorted(set(options) - set(known))
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{complaint} {unknown}; known are {known}{hint}")
    call()

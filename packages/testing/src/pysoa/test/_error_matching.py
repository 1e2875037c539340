"""Compares the errors of a response with those that a test expects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pysoa.common.errors import Error

__all__ = ("describe_wrong_codes", "describe_wrong_fields")


def describe_wrong_codes(actual: Iterable[Error], expected: Iterable[str] | str, only: bool) -> str:
    """Compare errors without field with the expected error codes.

    Args:
        actual: The errors.
        expected: One code or several. Each stands for one error, and is left as it is.
        only: Whether there must be no other errors.

    Returns:
        What is wrong; empty if nothing is.
    """
    missing = list(dict.fromkeys(_as_iterable(expected)))
    unexpected: list[Error] = []
    for error in actual:
        if not error.field and error.code in missing:
            missing.remove(error.code)
        else:
            unexpected.append(error)
    return _describe("Expected errors", missing, unexpected if only else [])


def describe_wrong_fields(
    actual: Iterable[Error], expected: Mapping[str, Iterable[str] | str], only: bool
) -> str:
    """Compare errors of fields with the expected ones.

    Args:
        actual: The errors.
        expected: One error code or several for each field. Each stands for one error, and is left as it is.
        only: Whether there must be no other errors.

    Returns:
        What is wrong; empty if nothing is.
    """
    missing = list(
        dict.fromkeys((field, code) for field, codes in expected.items() for code in _as_iterable(codes))
    )
    unexpected: list[Error] = []
    for error in actual:
        if error.field and (error.field, error.code) in missing:
            missing.remove((error.field, error.code))
        else:
            unexpected.append(error)
    return _describe(
        "Expected field errors", [{field: code} for field, code in missing], unexpected if only else []
    )


def _as_iterable(codes: Iterable[str] | str) -> Iterable[str]:
    return (codes,) if isinstance(codes, str) else codes


def _describe(what: str, missing: list[Any], unexpected: list[Error]) -> str:
    sentences: list[str] = []
    if missing:
        sentences.append(f"{what} not found in response: {missing}")
    if unexpected:
        sentences.append(f"Unexpected errors found in response: {[_short(error) for error in unexpected]}")
    return "\n".join(sentences)


def _short(error: Error) -> Any:
    text = (error.code, error.message)
    return {error.field: text} if error.field else text

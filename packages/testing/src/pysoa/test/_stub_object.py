"""What a stubbed action is called with: a mock that knows about request bodies."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from unittest import mock

__all__ = ("StubbedAction", "is_default")


class StubbedAction(mock.MagicMock):
    """The stand-in for an action: a ``MagicMock`` that is called with one argument, the request body.

    Bodies are kept by reference. A caller that changes a body after the call changes what the stub remembers.
    """

    @property
    def call_body(self) -> Any:
        """The request body of the latest call; ``None`` if there was no call."""
        return _body_of(self.call_args) if self.called else None

    @property
    def call_bodies(self) -> tuple[Any, ...]:
        """The request bodies of all calls, in their order."""
        return tuple(_body_of(call) for call in self.call_args_list)

    def assert_call_bodies(self, *expected: Mapping[str, Any]) -> None:
        """Assert that the action was called with exactly these request bodies, in this order.

        Args:
            expected: The request bodies, one for each call.

        Raises:
            AssertionError: It was called otherwise; the text shows the difference.
        """
        __tracebackhide__ = True
        if self.call_bodies != expected:
            raise AssertionError(
                f"{_name_of(self)} was called with other request bodies than expected.\n"
                f"{_difference(list(expected), list(self.call_bodies))}"
            )

    def assert_called_with(self, /, *args: Any, **kwargs: Any) -> None:
        """Do what ``MagicMock`` does, and show in a failure how the request bodies differ."""
        __tracebackhide__ = True
        self._assert(super().assert_called_with, args, kwargs)

    def assert_called_once_with(self, /, *args: Any, **kwargs: Any) -> None:
        """Do what ``MagicMock`` does, and show in a failure how the request bodies differ."""
        __tracebackhide__ = True
        self._assert(super().assert_called_once_with, args, kwargs)

    def assert_any_call(self, /, *args: Any, **kwargs: Any) -> None:
        """Do what ``MagicMock`` does, and show in a failure how the request bodies differ."""
        __tracebackhide__ = True
        self._assert(super().assert_any_call, args, kwargs)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Record a call, and return or raise what is set up for it."""
        result = super().__call__(*args, **kwargs)
        if _is_function(result):
            # An iterable side_effect may have functions among its items, which a mock would hand out.
            result = cast("Callable[..., Any]", result)(*args, **kwargs)
        # The one of the other mock library, which the base class does not know.
        return self.return_value if is_default(result) else result

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "side_effect" and isinstance(value, Mapping):
            # A mock would take it for an iterable, and so return its keys.
            value = _always(cast("Mapping[str, Any]", value))
        super().__setattr__(name, value)

    def _get_child_mock(self, /, **kwargs: Any) -> mock.MagicMock:
        return mock.MagicMock(**kwargs)

    def _assert(self, assertion: Callable[..., None], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        __tracebackhide__ = True
        try:
            assertion(*args, **kwargs)
        except AssertionError as error:
            bodies = list(self.call_bodies)
            if len(args) != 1 or kwargs or not bodies or args[0] in bodies:
                raise
            count = f"the last of {len(bodies)} calls" if len(bodies) > 1 else "the only call"
            raise AssertionError(
                f"{error}\nThe request body of {count} differs.\n{_difference(args[0], bodies[-1])}"
            ) from None


def is_default(value: object) -> bool:
    """Tell whether a value is the ``DEFAULT`` of :mod:`unittest.mock` or of the third-party ``mock``."""
    other = sys.modules.get("mock")
    return value is mock.DEFAULT or (other is not None and value is getattr(other, "DEFAULT", mock))


def _body_of(call: Any) -> Any:
    args: tuple[Any, ...] = call.args
    return args[0] if args else None


def _is_function(value: object) -> bool:
    return callable(value) and not isinstance(value, (mock.NonCallableMock, type))


def _always(body: Mapping[str, Any]) -> Callable[[object], Mapping[str, Any]]:
    def return_body(_request_body: object) -> Mapping[str, Any]:
        return body

    return return_body


def _name_of(stub: mock.MagicMock) -> str:
    # Published only as a part of the repr: <StubbedAction name='service.action' id='...'>
    return repr(stub).partition("name='")[2].partition("'")[0] or "The stub"


def _difference(expected: object, actual: object) -> str:
    lines = difflib.unified_diff(
        list(_lines_of(expected)), list(_lines_of(actual)), "expected", "actual", lineterm="", n=10
    )
    # Without the lines that tell which part of a file it is.
    return "\n".join(line for line in lines if not line.startswith("@@"))


def _lines_of(value: object, before: str = "", after: str = "", indent: str = "") -> Iterator[str]:
    """Lay a body out with one line for each key and each item, so that a diff shows which of them differ."""
    if isinstance(value, dict) and value:
        yield f"{indent}{before}{{"
        for key, item in cast("dict[object, object]", value).items():
            yield from _lines_of(item, f"{key!r}: ", ",", f"{indent}    ")
        yield f"{indent}}}{after}"
    elif isinstance(value, list) and value:
        yield f"{indent}{before}["
        for item in cast("list[object]", value):
            yield from _lines_of(item, "", ",", f"{indent}    ")
        yield f"{indent}]{after}"
    else:
        yield f"{indent}{before}{value!r}{after}"

"""Names that PySOA 1.x offered to bridge Python versions, on top of what Python itself has today."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any, Generic, TypeVar

__all__ = (
    "ContextVar",
    "Token",
    "set_running_loop",
)

_T = TypeVar("_T")
_UNSET: Any = object()


class Token(Generic[_T]):
    """What :meth:`ContextVar.set` returns, to give to :meth:`ContextVar.reset` of the same variable, once."""

    __slots__ = ("context_var", "token")

    def __init__(self, context_var: ContextVar[_T], token: contextvars.Token[_T]) -> None:
        self.context_var: ContextVar[_T] = context_var
        self.token: contextvars.Token[_T] = token


class ContextVar(Generic[_T]):
    """A context variable that works like :class:`contextvars.ContextVar`.

    Kept for code written for PySOA 1.x.

    Args:
        name: The name of the variable, for debugging.
        default: What :meth:`get` returns in contexts in which the variable was not set.
    """

    __slots__ = ("_variable",)

    def __init__(self, name: str, default: _T = _UNSET) -> None:
        self._variable: contextvars.ContextVar[_T] = (
            contextvars.ContextVar(name)
            if default is _UNSET
            else contextvars.ContextVar(name, default=default)
        )

    @property
    def name(self) -> str:
        """The name given to the constructor."""
        return self._variable.name

    def get(self, default: _T = _UNSET) -> _T:
        """Return the value in the current context.

        Args:
            default: What to return instead of the variable's own default if it is not set.

        Raises:
            LookupError: The variable is not set and there is no default.
        """
        return self._variable.get() if default is _UNSET else self._variable.get(default)

    def set(self, value: _T) -> Token[_T]:
        """Set the value in the current context, and return a token to undo that."""
        return Token(self, self._variable.set(value))

    def reset(self, token: Token[_T]) -> None:
        """Restore the value that the variable had before the call of :meth:`set` that returned the token.

        Raises:
            ValueError: The token was made by another variable.
            RuntimeError: The token was used before.
        """
        if token.context_var is not self:
            raise ValueError("Token was created by a different ContextVar")
        self._variable.reset(token.token)

    def __repr__(self) -> str:
        return f"<ContextVar name={self.name!r} at {id(self):#x}>"


def set_running_loop(loop: asyncio.AbstractEventLoop | None) -> None:
    """Do nothing: Python knows the running event loop of each thread itself since version 3.7."""
    del loop

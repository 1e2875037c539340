"""Makes ``stub_action`` a decorator, in the way of ``mock.patch``, and mixable with it.

A decorated function has a list ``patchings``. Whoever decorates it next adds to the list instead of
wrapping the function again; the one wrapper enters all of them. pytest reads the list, to know which
parameters of a test are no fixtures.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Protocol, cast
from unittest import mock

from pysoa.test import compatibility
from pysoa.test._stub_object import StubbedAction, is_default

__all__ = ("Stubbing", "decorate")


class Stubbing(Protocol):
    """What is needed of a ``stub_action``."""

    @property
    def argument(self) -> str | None:
        """The name of the parameter that gets the stub; ``None`` to append it to the positional ones."""
        ...

    @property
    def enabled(self) -> bool:
        """Whether it is active."""
        ...

    def __enter__(self) -> StubbedAction: ...

    def __exit__(self, exc_type: Any = None, exc_value: Any = None, traceback: Any = None) -> bool: ...

    def copy(self) -> Stubbing:
        """Return another one, not active, that is set up equally."""
        ...


def decorate(target: Any, stubbing: Stubbing) -> Any:
    """Decorate a class, a function or method of any kind; what is returned has the kind of the target."""
    if isinstance(target, type):
        return _decorate_class(target, stubbing)
    if isinstance(target, (classmethod, staticmethod)):
        method = cast("classmethod[Any, ..., Any]", target)
        return type(method)(decorate(method.__func__, stubbing))
    return _decorate_function(target, stubbing)


class _Patching:
    """One entry of ``patchings``: what ``mock.patch``, pytest and the wrappers of both need to see."""

    def __init__(self, stubbing: Stubbing, new: object) -> None:
        self._stubbing = stubbing
        self._active: list[Stubbing] = []
        self.attribute_name = stubbing.argument
        self.new = new

    def __enter__(self) -> StubbedAction | dict[str, StubbedAction]:
        # A function may run several times at once: recursively, in threads, as coroutines.
        stubbing = self._stubbing.copy() if self._stubbing.enabled else self._stubbing
        stub = stubbing.__enter__()
        self._active.append(stubbing)
        return {self.attribute_name: stub} if self.attribute_name else stub

    def __exit__(self, *exc_info: object) -> None:
        self._active.pop().__exit__(*exc_info)


def _decorate_class(cls: type, stubbing: Stubbing) -> type:
    for name in dir(cls):
        if not name.startswith(compatibility.mock.patch.TEST_PREFIX):
            continue
        value = inspect.getattr_static(cls, name)
        if not (callable(value) or isinstance(value, (classmethod, staticmethod))):
            continue
        if name not in vars(cls):
            value = _detached(value)
        setattr(cls, name, decorate(value, stubbing.copy()))
    return cls


def _detached(value: Any) -> Any:
    """Return a method such that decorating it leaves the class alone from which it is inherited."""
    if isinstance(value, (classmethod, staticmethod)):
        method = cast("classmethod[Any, ..., Any]", value)
        return type(method)(_detached(method.__func__))
    function: Any = value
    if not hasattr(function, "patchings") or _wrapper_of(function) is not function:
        return function
    wrapper = _wrap(function.__wrapped__)
    wrapper.__dict__.update(function.__dict__)
    wrapper.patchings = [*function.patchings]
    return wrapper


def _decorate_function(function: Any, stubbing: Stubbing) -> Any:
    if not hasattr(function, "patchings"):
        function = _wrap(function)
        vars(function)["patchings"] = []
    new = getattr(_wrapper_of(function), "__globals__", {}).get("DEFAULT")
    function.patchings.append(_Patching(stubbing, new if is_default(new) else mock.DEFAULT))
    if stubbing.argument:
        _hide_parameter(function, stubbing.argument)
    return function


def _wrapper_of(function: Any) -> Any:
    """Return the function that enters the patchings, which other decorators may have wrapped since.

    The third-party ``mock`` recognises only its own ``DEFAULT``, which is among the globals of its wrapper.
    """
    inner = getattr(function, "__wrapped__", None)
    while inner is not None and getattr(inner, "patchings", None) is function.patchings:
        function, inner = inner, getattr(inner, "__wrapped__", None)
    return function


def _hide_parameter(function: Any, name: str) -> None:
    """Keep pytest from looking for a fixture of this name."""
    signature = inspect.signature(function)
    parameters = [parameter for parameter in signature.parameters.values() if parameter.name != name]
    if len(parameters) == len(signature.parameters) and not any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters
    ):
        raise TypeError(
            f"{function.__qualname__}{signature} has no parameter {name!r} to take the stub. "
            "Add it, or give stub_action another `argument`."
        )
    function.__signature__ = signature.replace(parameters=parameters)


def _wrap(function: Callable[..., Any]) -> Any:
    """Return a function of the same kind that enters its ``patchings`` around each run of the given one."""

    def entered(
        args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> contextlib.AbstractContextManager[tuple[tuple[Any, ...], dict[str, Any]]]:
        return _entered(wrapper.patchings, args, kwargs)

    async def coroutine_function(*args: Any, **kwargs: Any) -> Any:
        with entered(args, kwargs) as (args, kwargs):
            return await function(*args, **kwargs)

    async def async_generator_function(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        with entered(args, kwargs) as (args, kwargs):
            async for item in function(*args, **kwargs):
                yield item

    def generator_function(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with entered(args, kwargs) as (args, kwargs):
            generator: Generator[Any, Any, Any] = function(*args, **kwargs)
            return (yield from generator)

    def plain_function(*args: Any, **kwargs: Any) -> Any:
        with entered(args, kwargs) as (args, kwargs):
            return function(*args, **kwargs)

    wrapper: Any = plain_function
    if inspect.iscoroutinefunction(function):
        wrapper = coroutine_function
    elif inspect.isasyncgenfunction(function):
        wrapper = async_generator_function
    elif inspect.isgeneratorfunction(function):
        wrapper = generator_function
    return functools.update_wrapper(wrapper, function)


@contextlib.contextmanager
def _entered(
    patchings: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Generator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Enter the patchings, those of this module and those of ``mock.patch``; yield all arguments."""
    with contextlib.ExitStack() as stack:
        appended: list[Any] = []
        for patching in patchings:
            value = stack.enter_context(patching)
            if patching.attribute_name is not None:
                kwargs.update(value)
            elif is_default(patching.new):
                appended.append(value)
        yield (*args, *appended), kwargs

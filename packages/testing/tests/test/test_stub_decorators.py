"""Stubs as decorators: of functions of all kinds and of classes, and mixed with ``mock.patch``."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar, assert_type
from unittest import mock

import pytest

from pysoa.client.client import Client
from pysoa.test.stub_service import StubbedAction, stub_action

third_party_mock: Any = importlib.import_module("mock")
LIBRARIES = pytest.mark.parametrize("library", [mock, third_party_mock], ids=["unittest.mock", "mock"])

client = Client({})

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def call(action: str) -> dict[str, Any]:
    return client.call_action("user", action).body


def patch(library: Any, target: str, **kwargs: Any) -> Callable[[Decorated], Decorated]:
    """Return the decorator of one of the libraries, with a type."""
    decorator: Callable[[Decorated], Decorated] = library.patch(target, **kwargs)
    return decorator


def patch_getcwd_by_name(library: Any) -> Callable[[Decorated], Decorated]:
    decorator: Callable[[Decorated], Decorated] = library.patch.multiple("os", getcwd=library.DEFAULT)
    return decorator


def names(stubs: tuple[Any, ...]) -> list[str]:
    return [repr(stub).partition("name='")[2].partition("'")[0] for stub in stubs]


# Functions


def test_a_function_gets_the_stub_after_its_positional_arguments() -> None:
    @stub_action("user", "a", {"n": 1})
    def function(first: int, *rest: Any, key: int) -> Any:
        return first, rest, key, call("a")

    first, rest, key, body = function(1, 2, key=3)

    assert (first, rest[0], key, body) == (1, 2, 3, {"n": 1})
    assert names(rest[1:]) == ["user.a"]


def test_the_innermost_stub_comes_first() -> None:
    @stub_action("user", "b")
    @stub_action("user", "a")
    def function(*stubs: Any) -> list[str]:
        return names(stubs)

    assert function() == ["user.a", "user.b"]


def test_every_call_gets_a_fresh_stub() -> None:
    @stub_action("user", "a")
    def function(stub: StubbedAction) -> StubbedAction:
        call("a")
        return stub

    first, second = function(), function()

    assert first is not second
    assert (first.call_count, second.call_count) == (1, 1)


def test_a_recursive_function_gets_a_stub_for_each_level() -> None:
    @stub_action("user", "a", {"n": 1})
    def function(depth: int, stub: StubbedAction) -> list[int]:
        deeper = function(depth - 1) if depth else []
        call("a")
        return [stub.call_count, *deeper]

    assert function(2) == [1, 1, 1]


def test_a_decorated_function_keeps_its_name_and_its_errors() -> None:
    @stub_action("user", "a")
    def function(stub: StubbedAction) -> None:
        """Say something."""
        raise KeyError(stub.call_count)

    assert (function.__name__, function.__doc__) == ("function", "Say something.")
    with pytest.raises(KeyError):
        function()
    assert "send_request" not in vars(Client)


def test_a_stub_may_be_above_or_below_the_decorators_of_methods() -> None:
    class Methods:
        """One method of each kind."""

        @stub_action("user", "a", {"n": 1})
        def method(self, stub: StubbedAction) -> Any:
            return type(self), call("a"), names((stub,))

        @classmethod
        @stub_action("user", "a", {"n": 1})
        def class_below(cls, stub: StubbedAction) -> Any:
            return cls, call("a"), names((stub,))

        @stub_action("user", "a", {"n": 1})
        @classmethod
        def class_above(cls, stub: StubbedAction) -> Any:
            return cls, call("a"), names((stub,))

        @staticmethod
        @stub_action("user", "a", {"n": 1})
        def static_below(stub: StubbedAction) -> Any:
            return Methods, call("a"), names((stub,))

        @stub_action("user", "a", {"n": 1})
        @staticmethod
        def static_above(stub: StubbedAction) -> Any:
            return Methods, call("a"), names((stub,))

    expected = (Methods, {"n": 1}, ["user.a"])
    for name in ("method", "class_below", "class_above", "static_below", "static_above"):
        assert getattr(Methods(), name)() == expected, name
    assert Methods.static_above() == expected


# Functions that do not run at once


def test_a_coroutine_function_is_stubbed_until_it_has_ended() -> None:
    """T3: not just until it was called."""

    @stub_action("user", "a", {"n": 1})
    async def function(first: int, stub: StubbedAction) -> Any:
        await asyncio.sleep(0)
        return first, call("a"), stub.call_count

    assert inspect.iscoroutinefunction(function)
    assert asyncio.run(function(7)) == (7, {"n": 1}, 1)
    assert "send_request" not in vars(Client)


def test_a_coroutine_function_may_run_several_times_at_once() -> None:
    @stub_action("user", "a", {"n": 1})
    async def function(stub: StubbedAction) -> StubbedAction:
        await asyncio.sleep(0)
        assert call("a") == {"n": 1}
        await asyncio.sleep(0)
        assert call("a") == {"n": 1}
        return stub

    async def run_several() -> list[StubbedAction]:
        return await asyncio.gather(*(function() for _ in range(5)))

    stubs = asyncio.run(run_several())

    assert len(set(map(id, stubs))) == 5
    assert sum(stub.call_count for stub in stubs) == 10
    assert "send_request" not in vars(Client)


def test_generators_are_stubbed_until_they_have_ended() -> None:
    @stub_action("user", "a", {"n": 1})
    def generate(stub: StubbedAction) -> Iterator[Any]:
        yield call("a")
        yield call("a")

    @stub_action("user", "a", {"n": 1})
    async def generate_slowly(stub: StubbedAction) -> AsyncIterator[Any]:
        yield call("a")
        await asyncio.sleep(0)
        yield call("a")

    async def collect() -> list[Any]:
        return [item async for item in generate_slowly()]

    assert list(generate()) == [{"n": 1}, {"n": 1}]
    assert asyncio.run(collect()) == [{"n": 1}, {"n": 1}]


# By name


def test_a_stub_with_an_argument_name_is_passed_by_that_name() -> None:
    @stub_action("user", "b", argument="get_b")
    @stub_action("user", "a", argument="get_a")
    def function(first: int, *, get_a: StubbedAction, get_b: StubbedAction) -> Any:
        call("a")
        return first, names((get_a, get_b)), get_a.call_count

    assert function(1) == (1, ["user.a", "user.b"], 1)
    assert list(inspect.signature(function).parameters) == ["first"]


@LIBRARIES
def test_stubs_by_name_may_be_mixed_with_all_others(library: Any) -> None:
    @stub_action("user", "b", argument="get_b")
    @patch(library, "os.getcwd")
    @stub_action("user", "a")
    @patch(library, "os.listdir")
    def function(*positional: Any, get_b: StubbedAction) -> Any:
        return names((*positional, get_b))

    assert function() == ["listdir", "user.a", "getcwd", "user.b"]


def test_an_argument_name_that_the_function_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="has no parameter 'get_b' to take the stub"):

        @stub_action("user", "a", argument="get_b")
        def function(get_a: StubbedAction) -> None:
            """Never run."""


def test_an_argument_name_may_be_among_any_keyword_arguments() -> None:
    @stub_action("user", "a", argument="get_a")
    def function(**stubs: StubbedAction) -> list[str]:
        return list(stubs)

    assert function() == ["get_a"]


# With mock.patch


@LIBRARIES
def test_patches_outside_of_a_stub(library: Any) -> None:
    """T1: everything is left again."""
    before = os.getcwd

    @patch(library, "os.getcwd")
    @stub_action("user", "a", {"n": 1})
    def function(stub: Any, getcwd: Any) -> Any:
        assert os.getcwd is getcwd
        return call("a"), names((stub, getcwd))

    assert function() == ({"n": 1}, ["user.a", "getcwd"])
    assert os.getcwd is before
    assert "send_request" not in vars(Client)


@LIBRARIES
def test_patches_inside_of_a_stub(library: Any) -> None:
    """T2: the stub is passed, whichever library made the patch."""

    @stub_action("user", "a", {"n": 1})
    @patch(library, "os.getcwd")
    def function(getcwd: Any, stub: Any) -> Any:
        return call("a"), names((getcwd, stub))

    assert function() == ({"n": 1}, ["getcwd", "user.a"])


@LIBRARIES
def test_patches_of_a_whole_class_with_stubbed_methods(library: Any) -> None:
    """T1: a class-level patch above a stub works as well."""

    @patch(library, "os.getcwd")
    class TestSomething:
        """A test class."""

        @stub_action("user", "a", {"n": 1})
        def test_it(self, stub: Any, getcwd: Any) -> Any:
            return call("a"), names((stub, getcwd))

    assert TestSomething().test_it() == ({"n": 1}, ["user.a", "getcwd"])


@LIBRARIES
def test_patches_that_pass_nothing_or_keywords(library: Any) -> None:
    @patch_getcwd_by_name(library)
    @stub_action("user", "a", {"n": 1})
    @patch(library, "os.listdir", new=len)
    def function(stub: Any, getcwd: Any) -> Any:
        listdir: object = os.listdir
        return call("a"), names((stub, getcwd)), listdir is len

    assert function() == ({"n": 1}, ["user.a", "getcwd"], True)


@LIBRARIES
def test_coroutine_functions_with_patches(library: Any) -> None:
    @patch(library, "os.getcwd")
    @stub_action("user", "a", {"n": 1})
    async def stub_inside(stub: Any, getcwd: Any) -> Any:
        await asyncio.sleep(0)
        return call("a"), names((stub, getcwd))

    @stub_action("user", "a", {"n": 1})
    @patch(library, "os.getcwd")
    async def stub_outside(getcwd: Any, stub: Any) -> Any:
        await asyncio.sleep(0)
        return call("a"), names((stub, getcwd))

    expected = ({"n": 1}, ["user.a", "getcwd"])
    assert asyncio.run(stub_inside()) == expected
    assert asyncio.run(stub_outside()) == expected


def test_a_patch_that_fails_leaves_no_stub() -> None:
    @mock.patch("os.no_such_function")
    @stub_action("user", "a")
    def function(*stubs: Any) -> None:
        """Never run."""

    with pytest.raises(AttributeError):
        function()

    assert "send_request" not in vars(Client)


def test_a_stub_looks_like_a_patch_to_those_who_know_patches_only() -> None:
    stubbing = stub_action("user", "a")

    @stubbing
    def function(stub: Any) -> None:
        """Never run."""

    assert (stubbing.attribute_name, stubbing.new) == (None, mock.DEFAULT)
    (patching,) = function.patchings  # type: ignore[attr-defined]  # what pytest reads
    assert (patching.attribute_name, patching.new) == (None, mock.DEFAULT)


# Classes


class Base:
    """Has a stub on a method of its own."""

    @stub_action("user", "own", {"own": True})
    def test_inherited(self, *stubs: Any) -> Any:
        return names(stubs)


def test_a_decorated_class_has_all_its_tests_stubbed() -> None:
    """T13: also class and static methods."""

    @stub_action("user", "a", {"n": 1})
    class TestSomething:
        """A test class."""

        test_number = 7

        @stub_action("user", "b")
        def test_method(self, *stubs: Any) -> Any:
            return names(stubs), call("a")

        @classmethod
        def test_class_method(cls, *stubs: Any) -> Any:
            return names(stubs), call("a"), cls is TestSomething

        @staticmethod
        def test_static_method(*stubs: Any) -> Any:
            return names(stubs), call("a")

        async def testCoroutine(self, *stubs: Any) -> Any:  # noqa: N802 - a prefix without underscore
            return names(stubs), call("a")

        def helper(self, *stubs: Any) -> Any:
            return names(stubs)

    tests = TestSomething()
    assert tests.test_method() == (["user.b", "user.a"], {"n": 1})
    assert tests.test_class_method() == (["user.a"], {"n": 1}, True)
    assert tests.test_static_method() == (["user.a"], {"n": 1})
    assert asyncio.run(tests.testCoroutine()) == (["user.a"], {"n": 1})
    assert tests.helper() == []
    assert tests.test_number == 7


def test_inherited_tests_are_stubbed_without_touching_their_class() -> None:
    @stub_action("user", "a")
    class First(Base):
        """Inherits a test."""

    @stub_action("user", "b")
    class Second(Base):
        """Inherits the same test."""

    assert First().test_inherited() == ["user.own", "user.a"]
    assert Second().test_inherited() == ["user.own", "user.b"]
    assert Base().test_inherited() == ["user.own"]


def test_a_class_decorator_keeps_what_is_recorded() -> None:
    """T13: the two switches are carried over to each test."""
    from pysoa.test.stub_service import get_stubbed_requests, get_stubbed_responses

    @stub_action(
        "user",
        "a",
        {"n": 1},
        register_request_schema_contract=False,
        register_response_schema_contract=False,
    )
    class TestSomething:
        """A test class."""

        def test_it(self, *stubs: Any) -> Any:
            return call("a")

    before = len(get_stubbed_requests()), len(get_stubbed_responses())
    assert TestSomething().test_it() == {"n": 1}

    assert (len(get_stubbed_requests()), len(get_stubbed_responses())) == before


def test_a_class_decorator_may_pass_its_stub_by_name() -> None:
    @stub_action("user", "a", {"n": 1}, argument="get_a")
    class TestSomething:
        """A test class."""

        @stub_action("user", "b")
        def test_it(self, get_b: Any, get_a: Any) -> Any:
            return names((get_b, get_a))

    assert TestSomething().test_it() == ["user.b", "user.a"]


def test_the_prefix_of_tests_is_that_of_the_mock_library(monkeypatch: pytest.MonkeyPatch) -> None:
    from pysoa.test.compatibility import mock as library

    monkeypatch.setattr(library.patch, "TEST_PREFIX", "check")

    @stub_action("user", "a")
    class Checks:
        """A test class."""

        def check_it(self, *stubs: Any) -> Any:
            return names(stubs)

        def test_it(self, *stubs: Any) -> Any:
            return names(stubs)

    assert (Checks().check_it(), Checks().test_it()) == (["user.a"], [])


def test_the_named_ways_to_decorate_do_the_same() -> None:
    def function(*stubs: Any) -> Any:
        return names(stubs)

    class TestSomething:
        """A test class."""

        def test_it(self, *stubs: Any) -> Any:
            return names(stubs)

    assert stub_action("user", "a").decorate_callable(function)() == ["user.a"]
    assert stub_action("user", "a").decorate_class(TestSomething)().test_it() == ["user.a"]


# Types


def test_decorating_keeps_the_types() -> None:
    def function(first: int, stub: StubbedAction) -> str:
        return str(first)

    async def coroutine_function(stub: StubbedAction) -> int:
        return stub.call_count

    stubbing = stub_action("user", "a")

    class Tests:
        """A test class."""

    assert_type(stubbing(Tests), type[Tests])
    assert_type(stubbing(function)(1), str)
    assert_type(asyncio.run(stubbing(coroutine_function)()), int)
    with stubbing as stub:
        assert_type(stub, StubbedAction)

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from pysoa.common.compatibility import ContextVar, set_running_loop


def test_value_that_was_set_is_returned() -> None:
    variable: ContextVar[int] = ContextVar("a")

    variable.set(5)

    assert variable.get() == 5
    assert variable.name == "a"


def test_unset_variable_without_default_raises_a_lookup_error() -> None:
    variable: ContextVar[int] = ContextVar("a")

    with pytest.raises(LookupError):
        variable.get()


def test_default_of_the_call_beats_the_default_of_the_variable() -> None:
    variable: ContextVar[int | None] = ContextVar("a", default=None)

    assert variable.get() is None
    assert variable.get(3) == 3


def test_reset_restores_the_value_before() -> None:
    variable: ContextVar[int] = ContextVar("a", 1)
    token = variable.set(2)

    variable.reset(token)

    assert variable.get() == 1


def test_token_works_once() -> None:
    variable: ContextVar[int] = ContextVar("a", 1)
    token = variable.set(2)
    variable.reset(token)

    with pytest.raises(RuntimeError):
        variable.reset(token)


def test_token_of_another_variable_is_refused() -> None:
    token = ContextVar("a", 1).set(2)

    with pytest.raises(ValueError, match="Token was created by a different ContextVar"):
        ContextVar("b", 1).reset(token)


def test_new_threads_and_copied_contexts_do_not_change_each_other() -> None:
    variable: ContextVar[int] = ContextVar("a", 1)
    variable.set(2)
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(variable.get()))

    thread.start()
    thread.join(timeout=10)
    contextvars.copy_context().run(variable.set, 3)

    assert seen == [1]
    assert variable.get() == 2


def test_repr_names_the_variable() -> None:
    assert repr(ContextVar("a")).startswith("<ContextVar name='a' at 0x")


def test_setting_the_running_loop_does_nothing() -> None:
    loop = asyncio.new_event_loop()
    try:
        set_running_loop(loop)

        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
    finally:
        loop.close()

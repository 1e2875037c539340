"""Base classes for the tests of a service.

They give each test a client for a server of the service that runs in the same process::

    class TestSquare(ServerTestCase):
        server_class = SquareServer
        server_settings = {}

        def test_square(self):
            assert self.call_action("square", {"number": 7}).body == {"square": 49}

        def test_number_is_required(self):
            self.assertActionRunsWithOnlyFieldErrors("square", {}, {"number": "MISSING"})
"""

# The names are those of unittest.
# ruff: noqa: N802

from __future__ import annotations

import importlib
import os
import sys
import traceback
import unittest
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pysoa.client.client import Client
from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, Body
from pysoa.server.server import Server
from pysoa.test import assertions
from pysoa.test._local_service import make_client, settings_of_django
from pysoa.test._unittest_aliases import UnittestAliases

__all__ = (
    "BaseServerTestCase",
    "PyTestServerTestCase",
    "ServerTestCase",
    "UnitTestServerTestCase",
)

_SETTINGS_VARIABLE: Final = "PYSOA_SETTINGS_MODULE"


class BaseServerTestCase:
    """What all test classes need that call a server.

    The calls go through a whole client and a whole server, with its middleware and its schemas; but through
    the local transport, whatever the settings say, so bodies are not serialized.
    """

    server_class: type[Server] | None = None
    """The server class, which must be set."""
    server_settings: Mapping[str, Any] | str | None = None
    """The settings of the server, or their path ``module.path:NAME``.

    ``None`` means ``SOA_SERVER_SETTINGS`` of the Django settings if the server uses Django, or of the
    module that the environment variable ``PYSOA_SETTINGS_MODULE`` names.
    """
    service_name: str
    """The name of the service; there since :meth:`setup_pysoa`."""
    client: Client
    """A client for the service; there since :meth:`setup_pysoa`."""

    def setup_pysoa(self) -> None:
        """Set up a server and a client for one test.

        Raises:
            TypeError: :attr:`server_class` is not set, or no server class with a service name.
            AssertionError: There are no settings.
            ImproperlyConfigured: The settings are wrong.
        """
        server_class = self.server_class
        if server_class is None:
            raise TypeError("You must specify `server_class` in `ServerTestCase` subclasses")
        if not issubclass(server_class, Server):  # pyright: ignore[reportUnnecessaryIsInstance] - users err
            raise TypeError(
                f"`server_class` must be a subclass of `Server` in {type(self).__name__}, "
                f"not {server_class!r}"
            )
        if not server_class.service_name:
            raise TypeError(
                f"`server_class.service_name` must be set in {type(self).__name__}; {server_class!r} has none"
            )
        self.service_name = server_class.service_name
        self.client = make_client(server_class, self._find_settings(server_class))

    def call_action(
        self, action: str, body: Body | None = None, service_name: str | None = None, **kwargs: Any
    ) -> ActionResponse:
        """Call an action of the service.

        Args:
            action: The name of the action.
            body: The request body.
            service_name: Another service to call instead, which must be stubbed.
            kwargs: Given to :meth:`pysoa.client.client.Client.call_action`.

        Returns:
            What :meth:`pysoa.client.client.Client.call_action` returns.
        """
        return self.client.call_action(service_name or self.service_name, action, body=body, **kwargs)

    def assertActionRunsWithAndReturnErrors(self, action: str, body: Body, **kwargs: Any) -> list[Error]:
        """Call an action and assert that it fails.

        Args:
            action: The name of the action.
            body: The request body.
            kwargs: Given to :meth:`pysoa.client.client.Client.call_action`.

        Returns:
            The errors of the action.
        """
        __tracebackhide__ = True
        with assertions.raises_call_action_error() as info:
            self.call_action(action, body, **kwargs)
        return info.soa_errors

    def assertActionRunsWithFieldErrors(
        self,
        action: str,
        body: Body,
        field_errors: Mapping[str, Iterable[str] | str],
        only: bool = False,
        **kwargs: Any,
    ) -> None:
        """Call an action and assert that it fails with these errors of fields.

        Args:
            action: The name of the action.
            body: The request body.
            field_errors: One error code or several for each field.
            only: Whether there must be no other errors.
            kwargs: Given to :meth:`pysoa.client.client.Client.call_action`.
        """
        __tracebackhide__ = True
        with assertions.raises_field_errors(field_errors, only=only):
            self.call_action(action, body, **kwargs)

    def assertActionRunsWithOnlyFieldErrors(
        self, action: str, body: Body, field_errors: Mapping[str, Iterable[str] | str], **kwargs: Any
    ) -> None:
        """Do what :meth:`assertActionRunsWithFieldErrors` does with ``only=True``."""
        __tracebackhide__ = True
        self.assertActionRunsWithFieldErrors(action, body, field_errors, only=True, **kwargs)

    def assertActionRunsWithErrorCodes(
        self, action: str, body: Body, error_codes: Iterable[str] | str, only: bool = False, **kwargs: Any
    ) -> None:
        """Call an action and assert that it fails with these error codes, which are not about a field.

        Args:
            action: The name of the action.
            body: The request body.
            error_codes: One code or several.
            only: Whether there must be no other errors.
            kwargs: Given to :meth:`pysoa.client.client.Client.call_action`.
        """
        __tracebackhide__ = True
        with assertions.raises_error_codes(error_codes, only=only):
            self.call_action(action, body, **kwargs)

    def assertActionRunsWithOnlyErrorCodes(
        self, action: str, body: Body, error_codes: Iterable[str] | str, **kwargs: Any
    ) -> None:
        """Do what :meth:`assertActionRunsWithErrorCodes` does with ``only=True``."""
        __tracebackhide__ = True
        self.assertActionRunsWithErrorCodes(action, body, error_codes, only=True, **kwargs)

    def _find_settings(self, server_class: type[Server]) -> Any:
        if self.server_settings is not None:
            return self.server_settings
        if server_class.use_django:
            return settings_of_django().SOA_SERVER_SETTINGS
        name = os.environ.get(_SETTINGS_VARIABLE)
        if not name:
            raise AssertionError(
                f"{_SETTINGS_VARIABLE} environment variable must be set to run tests. "
                "Or set `server_settings` in the test class; {} are the default settings."
            )
        try:
            return importlib.import_module(name).SOA_SERVER_SETTINGS
        except (ImportError, AttributeError) as error:
            raise AssertionError(f"Could not access {name}.SOA_SERVER_SETTINGS: {error}") from error


class UnitTestServerTestCase(unittest.TestCase, BaseServerTestCase):
    """A :class:`BaseServerTestCase` for ``unittest``.

    If you override ``setUp``, call ``super().setUp()``.
    """

    def setUp(self) -> None:
        """Call :meth:`~BaseServerTestCase.setup_pysoa`."""
        super().setUp()
        self.setup_pysoa()


class PyTestServerTestCase(UnittestAliases, BaseServerTestCase):
    """A :class:`BaseServerTestCase` for pytest: fixtures and parameters work in it.

    If you override ``setup_method``, call ``super().setup_method()``.

    For classes that once derived from ``unittest.TestCase``, it has its assertion methods, and calls its
    ``setUp``, ``tearDown``, ``setUpClass``, ``tearDownClass`` and clean-ups with a ``DeprecationWarning``.
    """

    _cleanups: list[tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]]

    @classmethod
    def setup_class(cls) -> None:
        """Call ``setUpClass`` if a subclass has one."""
        if _function_of(cls.setUpClass) is not _function_of(PyTestServerTestCase.setUpClass):
            _warn("setUpClass", "setup_class")
            cls.setUpClass()

    def setup_method(self) -> None:
        """Call :meth:`~BaseServerTestCase.setup_pysoa`, and ``setUp`` if a subclass has one."""
        self._cleanups = []
        self.setup_pysoa()
        if type(self).setUp is not PyTestServerTestCase.setUp:
            _warn("setUp", "setup_method")
            self.setUp()

    def teardown_method(self) -> None:
        """Call ``tearDown`` if a subclass has one, and the clean-ups."""
        if type(self).tearDown is not PyTestServerTestCase.tearDown:
            _warn("tearDown", "teardown_method")
            self.tearDown()
        self.doCleanups()

    @classmethod
    def teardown_class(cls) -> None:
        """Call ``tearDownClass`` if a subclass has one."""
        if _function_of(cls.tearDownClass) is not _function_of(PyTestServerTestCase.tearDownClass):
            _warn("tearDownClass", "teardown_class")
            cls.tearDownClass()

    @classmethod
    def setUpClass(cls) -> None:
        """Do nothing; deprecated, override ``setup_class``."""

    def setUp(self) -> None:
        """Do nothing; deprecated, override ``setup_method``."""

    def tearDown(self) -> None:
        """Do nothing; deprecated, override ``teardown_method``."""

    @classmethod
    def tearDownClass(cls) -> None:
        """Do nothing; deprecated, override ``teardown_class``."""

    def addCleanup(self, function: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Have a function called after the test; deprecated, use fixtures.

        Args:
            function: The function. The one that was added last is called first.
            args: For the function.
            kwargs: For the function.
        """
        warnings.warn(
            "`ServerTestCase.addCleanup` is deprecated. `ServerTestCase` no longer inherits from "
            "`unittest.TestCase`. Your test cleanup will be run, but you should stop using `addCleanup` and "
            "clean up your tests in `teardown_method`, instead. This will be removed in PySOA 3.0.",
            DeprecationWarning,
            stacklevel=1,
        )
        self._cleanups.append((function, args, kwargs))

    def doCleanups(self) -> bool:
        """Call the functions that were given to :meth:`addCleanup`; deprecated.

        Returns:
            Whether all went well. The traceback of one that failed is printed.

        Raises:
            Exception: The last one failed.
        """
        all_went_well = True
        while self._cleanups:
            function, args, kwargs = self._cleanups.pop()
            try:
                function(*args, **kwargs)
            except KeyboardInterrupt:
                raise
            except BaseException:
                if not self._cleanups:
                    raise
                traceback.print_exc(file=sys.stderr)
                all_went_well = False
        return all_went_well


ServerTestCase = PyTestServerTestCase
"""The one that most tests use."""


def _function_of(method: Any) -> object:
    return method.__func__


def _warn(name: str, new_name: str) -> None:
    warnings.warn(
        f"`ServerTestCase.{name}` is deprecated. `ServerTestCase` no longer inherits from "
        f"`unittest.TestCase`. Your test setup has been run, but you should change the `{name}` method name "
        f"to `{new_name}` and be sure to still call `super` within it. This will be removed in PySOA 3.0.",
        DeprecationWarning,
        stacklevel=1,  # users' filters name this module
    )

"""Factories of factory_boy for servers and actions; they need the extra ``pysoa-testing[factories]``.

::

    class SquareServerFactory(ServerFactory):
        class Meta:
            model = SquareServer

    server = SquareServerFactory(settings__data={"heartbeat_file": "/tmp/heartbeat"})
"""

# The name of the function is published.
# ruff: noqa: N802

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from factory.base import Factory
from factory.declarations import LazyFunction, SubFactory

from pysoa.common.types import Body
from pysoa.server.action.base import Action
from pysoa.server.server import Server
from pysoa.server.settings import ServerSettings
from pysoa.server.types import EnrichedActionRequest

__all__ = ("ActionFactory", "ServerFactory", "ServerSettingsFactory")

_LOCAL_TRANSPORT = {"path": "pysoa.common.transport.local:LocalServerTransport"}


class ServerSettingsFactory(Factory[ServerSettings]):
    """Makes server settings for the local transport; the argument ``data`` has all others."""

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride] - that is how it is done
        """Settings of the factory."""

        model = ServerSettings

    data: Any = LazyFunction(dict)  # type: ignore[no-untyped-call]  # factory_boy has half of its types

    @classmethod
    def from_module(cls, path: str) -> ServerSettings:
        """Make settings from a module.

        Args:
            path: The dotted path of a module, whose ``SOA_SERVER_SETTINGS`` or ``settings`` are used; or with
                the name behind a colon.

        Raises:
            ImportError: There is no such module.
            AttributeError: It has no settings.
        """
        module_path, _, name = path.partition(":")
        module = importlib.import_module(module_path)
        if not name:
            name = "SOA_SERVER_SETTINGS" if hasattr(module, "SOA_SERVER_SETTINGS") else "settings"
        settings: Any = cls(data=getattr(module, name))  # calling a factory gives what it makes
        return settings  # type: ignore[no-any-return]  # see above

    @classmethod
    def _adjust_kwargs(cls, **kwargs: Any) -> dict[str, Any]:
        data: Mapping[str, Any] = kwargs.get("data") or {}
        return {**kwargs, "data": {**data, "transport": _LOCAL_TRANSPORT}}


class ServerFactory(Factory[Server]):
    """Makes servers; a subclass names the server class as its ``Meta.model``."""

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride] - that is how it is done
        """Settings of the factory."""

        model = Server

    settings: Any = SubFactory(ServerSettingsFactory)  # type: ignore[no-untyped-call]  # as above


def ActionFactory(body: Body | None = None, exception: BaseException | None = None) -> type[Action]:
    """Make an action class.

    Args:
        body: What the action returns; ``None`` means an empty body.
        exception: What the action raises instead.
    """

    class TestAction(Action):
        """An action made by a factory."""

        def run(self, request: EnrichedActionRequest[Any]) -> Body:
            """Do what the factory was told."""
            del request
            if exception is not None:
                raise exception
            return body or {}

    return TestAction

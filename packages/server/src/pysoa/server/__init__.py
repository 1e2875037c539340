"""Runs services: their actions, the jobs that call them, the processes that serve.

The names that most services need can be imported from here, for short:
``from pysoa.server import Action, ActionError, Server``. Each is loaded when it is first used, so importing
this package alone, or one of its other modules, stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pysoa.server.action.base import Action as Action
    from pysoa.server.action.status import BaseStatusAction as BaseStatusAction
    from pysoa.server.action.status import StatusActionFactory as StatusActionFactory
    from pysoa.server.action.switched import SwitchedAction as SwitchedAction
    from pysoa.server.coroutine import CoroutineMiddleware as CoroutineMiddleware
    from pysoa.server.errors import ActionError as ActionError
    from pysoa.server.errors import JobError as JobError
    from pysoa.server.middleware import ServerMiddleware as ServerMiddleware
    from pysoa.server.server import Server as Server
    from pysoa.server.settings import ServerSettings as ServerSettings
    from pysoa.server.types import EnrichedActionRequest as EnrichedActionRequest
    from pysoa.server.types import EnrichedJobRequest as EnrichedJobRequest

__all__ = (
    "Action",
    "ActionError",
    "BaseStatusAction",
    "CoroutineMiddleware",
    "EnrichedActionRequest",
    "EnrichedJobRequest",
    "JobError",
    "Server",
    "ServerMiddleware",
    "ServerSettings",
    "StatusActionFactory",
    "SwitchedAction",
)

_MODULES = {
    "Action": "pysoa.server.action.base",
    "ActionError": "pysoa.server.errors",
    "BaseStatusAction": "pysoa.server.action.status",
    "CoroutineMiddleware": "pysoa.server.coroutine",
    "EnrichedActionRequest": "pysoa.server.types",
    "EnrichedJobRequest": "pysoa.server.types",
    "JobError": "pysoa.server.errors",
    "Server": "pysoa.server.server",
    "ServerMiddleware": "pysoa.server.middleware",
    "ServerSettings": "pysoa.server.settings",
    "StatusActionFactory": "pysoa.server.action.status",
    "SwitchedAction": "pysoa.server.action.switched",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

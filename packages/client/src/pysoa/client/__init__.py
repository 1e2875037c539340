"""Calls the actions of PySOA services by name.

``from pysoa.client import Client`` is short for ``from pysoa.client.client import Client``. The client is
loaded when the name is first used, so importing this package alone, or one of its other modules, stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pysoa.client.client import Client as Client

__all__ = ("Client",)


def __getattr__(name: str) -> object:
    if name == "Client":
        from pysoa.client.client import Client

        globals()["Client"] = Client
        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

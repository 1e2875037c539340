"""Asks Redis Sentinels which servers are masters."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final, cast

import attrs

from pysoa.common.transport.redis_gateway._interfaces import BackendError, ErrorReply
from pysoa.common.transport.redis_gateway.backend._connection import RedisConnection
from pysoa.common.transport.redis_gateway.backend._endpoint import Endpoint

__all__ = ("MasterNotFoundError", "Sentinels")

_ASK_FOR_MASTERS: Final = b"*2\r\n$8\r\nSENTINEL\r\n$7\r\nMASTERS\r\n"
_DOWN_FLAGS: Final = frozenset({b"s_down", b"o_down"})


class MasterNotFoundError(Exception):
    """No Sentinel that answers knows a master for a service that is up."""


@attrs.frozen
class _Master:
    """What a Sentinel says about one service."""

    service_name: str
    host: str
    port: int
    is_up: bool


class Sentinels:
    """The Sentinels of one deployment. Any may be asked; the one that answered last is asked first."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        """Remember whom to ask.

        Args:
            endpoints: The Sentinels.
        """
        self._endpoints = tuple(endpoints)

    @property
    def addresses(self) -> str:
        """The addresses, for reports."""
        return ", ".join(endpoint.address for endpoint in self._endpoints)

    def service_names(self, deadline: float) -> list[str]:
        """Return the names of all services that the first Sentinel that answers knows, sorted.

        Each Sentinel lists them in an order of its own, but all clients and servers must agree on one.

        Args:
            deadline: When to give up, in ``time.monotonic()`` seconds.

        Raises:
            BackendError: None answers.
        """
        reasons: list[str] = []
        for endpoint, masters in self._answers(deadline, reasons):
            if masters:
                return sorted(master.service_name for master in masters)
            reasons.append(f"{endpoint.name} watches no master.")
        raise BackendError(
            "\n".join(("Could not get master info from Sentinel", *reasons)),
            cause_name="ConnectionError",
            is_connection_error=True,
        )

    def master_address(self, service_name: str, deadline: float) -> tuple[str, int]:
        """Return where the master of a service is.

        Args:
            service_name: By which name the Sentinels know it.
            deadline: When to give up, in ``time.monotonic()`` seconds.

        Raises:
            MasterNotFoundError: None of them knows one that is up.
        """
        reasons: list[str] = []
        for endpoint, masters in self._answers(deadline, reasons):
            named = [master for master in masters if master.service_name == service_name]
            if named and named[0].is_up:
                self._ask_first(endpoint)
                return named[0].host, named[0].port
            state = "takes its master for down" if named else "does not know it"
            reasons.append(f"{endpoint.name} {state}.")
        raise MasterNotFoundError(" ".join((f"Service {service_name!r}:", *reasons)))

    def _answers(self, deadline: float, reasons: list[str]) -> Iterator[tuple[Endpoint, list[_Master]]]:
        endpoints = self._endpoints
        for place, endpoint in enumerate(endpoints):
            # A silent Sentinel must leave time for the others.
            now = time.monotonic()
            own_deadline = now + (deadline - now) / (len(endpoints) - place)
            try:
                masters = _ask(endpoint, own_deadline)
            except BackendError as error:
                reasons.append(error.text)
            else:
                yield endpoint, masters

    def _ask_first(self, endpoint: Endpoint) -> None:
        if self._endpoints[0] is not endpoint:
            others = (other for other in self._endpoints if other is not endpoint)
            self._endpoints = (endpoint, *others)


def _ask(endpoint: Endpoint, deadline: float) -> list[_Master]:
    connection = RedisConnection(endpoint, None, deadline)
    try:
        connection.write(_ASK_FOR_MASTERS, deadline)
        reply = connection.read(deadline)
    finally:
        connection.close()
    if isinstance(reply, ErrorReply):
        text = endpoint.secrets.hide_in(reply.text)
        raise BackendError(f"{endpoint.name} refused to answer: {text}", cause_name="ResponseError")
    try:
        return [_master(cast("list[bytes]", fields)) for fields in cast("list[object]", reply)]
    except (TypeError, ValueError, KeyError, AttributeError):
        raise BackendError(
            f"{endpoint.name} does not answer as a Sentinel does.", cause_name="InvalidResponse"
        ) from None


def _master(fields: list[bytes]) -> _Master:
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    flags = frozenset(values[b"flags"].split(b","))
    return _Master(
        service_name=values[b"name"].decode("utf-8"),
        host=values[b"ip"].decode("utf-8"),
        port=int(values[b"port"]),
        is_up=b"master" in flags and not flags & _DOWN_FLAGS,
    )

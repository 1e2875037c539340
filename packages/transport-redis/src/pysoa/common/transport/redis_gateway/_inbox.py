"""From the elements of reply lists to whole responses, and to the requests that they answer.

Pure code: who waits, decodes and reports is the transport's business.
"""

from __future__ import annotations

from typing import NamedTuple

from pysoa.common.transport.errors import InvalidMessageError
from pysoa.common.transport.redis_gateway._chunking import ChunkedMessage
from pysoa.common.transport.redis_gateway._framing import Frame, parse_frame
from pysoa.common.transport.redis_gateway._reply_lists import Awaited, ReplyLists
from pysoa.common.transport.redis_gateway.constants import ProtocolVersion

__all__ = (
    "Arrival",
    "claim_arrival",
    "take_element",
)


class Arrival(NamedTuple):
    """A whole response, still serialized."""

    awaited: Awaited | None
    """The request to whose exclusive list it came; ``None`` if it came to the shared list."""
    payload: bytes
    """The serialized envelope."""
    content_type: str | None
    """In which format."""
    protocol_version: ProtocolVersion
    """The version that the server speaks to this client."""
    was_chunked: bool
    """Whether it came in parts."""


def take_element(lists: ReplyLists, key: bytes, message: bytes, service_name: str) -> Arrival | None:
    """Take in an element of a reply list.

    Args:
        lists: The lists of the client.
        key: The list that the element was in.
        message: The element.
        service_name: The service, for the texts of errors.

    Returns:
        The response that is complete with it; ``None`` if parts are missing, if the element is one that
        only wakes up a waiting thread, or if nobody waits for what comes to that list any more.

    Raises:
        InvalidMessageError: The element makes no sense.
        InterruptedChunksError: It does not continue what came before it. That is forgotten. On the shared
            list, the element may itself begin something, and can be given to this function again.
    """
    if not message:
        return None
    if key == lists.shared.key:
        return _take_shared(lists, message, service_name)
    awaited = lists.awaited_by_list(key)
    return None if awaited is None else _take_exclusive(lists, awaited, message, service_name)


def _take_shared(lists: ReplyLists, message: bytes, service_name: str) -> Arrival | None:
    chunks, lists.shared_chunks = lists.shared_chunks, None
    frame = parse_frame(message)
    if chunks is not None:
        chunks.add(frame)
    elif frame.chunk_count is None:
        return _whole(None, frame)
    else:
        chunks = ChunkedMessage(frame, service_name)
    if chunks.is_complete:
        return _joined(None, chunks)
    lists.shared_chunks = chunks
    return None


def _take_exclusive(lists: ReplyLists, awaited: Awaited, message: bytes, service_name: str) -> Arrival | None:
    frame = parse_frame(message)
    if awaited.chunks is not None:
        awaited.chunks.add(frame)
    elif frame.chunk_count is None:
        return _whole(awaited, frame)
    else:
        lists.start_chunks(awaited, ChunkedMessage(frame, service_name))
    if awaited.chunks is not None and awaited.chunks.is_complete:
        return _joined(awaited, awaited.chunks)
    return None


def _whole(awaited: Awaited | None, frame: Frame) -> Arrival:
    return Arrival(awaited, bytes(frame.payload), frame.content_type, frame.protocol_version, False)


def _joined(awaited: Awaited | None, chunks: ChunkedMessage) -> Arrival:
    first = chunks.first
    return Arrival(awaited, chunks.join(), first.content_type, first.protocol_version, True)


def claim_arrival(lists: ReplyLists, arrival: Arrival, request_id: object) -> Awaited | None:
    """Find the request that a response answers, and stop waiting for it.

    Args:
        lists: The lists of the client.
        arrival: The response.
        request_id: The request id that was found in it.

    Returns:
        The request; ``None`` if it is not outstanding, because it was abandoned for instance.

    Raises:
        InvalidMessageError: The response came to the exclusive list of another request.
    """
    if arrival.awaited is None:
        return lists.claim_shared(request_id, arrival.was_chunked)
    awaited = arrival.awaited
    if type(request_id) is not type(awaited.request_id) or request_id != awaited.request_id:
        raise InvalidMessageError("A response to another request came to the list of a request")
    if lists.awaited_by_list(awaited.exclusive_list.key) is not awaited:
        return None
    lists.finish(awaited)
    lists.note_exclusive_answer()
    return awaited

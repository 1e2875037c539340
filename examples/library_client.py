"""Calls the library service in all the usual ways: ``python library_client.py``, while the service runs."""

from __future__ import annotations

import os
import textwrap
import time

from pysoa.client.client import Client
from pysoa.common.types import JobResponse

SOLARIS = "978-0-15-602760-1"
DARKNESS = "978-0-441-47812-5"


def make_client(redis: str) -> Client:
    """Return a client for the services that are reached over one Redis, given as ``host:port``."""
    host, _, port = redis.partition(":")
    return Client(
        {
            "library": {
                "transport": {
                    "path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport",
                    "kwargs": {
                        "backend_type": "redis.standard",
                        "backend_layer_kwargs": {"hosts": [(host, int(port))]},
                    },
                },
            },
        }
    )


def ask_for_status(client: Client) -> None:
    """Ask every service's built-in action how it is."""
    print("The built-in action 'status' tells whether a service is well:")
    body = client.call_action("library", "status", {"verbose": True}).body
    print(f"    library {body['version']} on PySOA {body['pysoa']}, errors: {body['healthcheck']['errors']}")


def call_one_action(client: Client) -> None:
    """Call one action. Dates arrive as dates."""
    print("A single call:")
    book = client.call_action("library", "get_book", {"isbn": SOLARIS}).body["book"]
    age = book["published"].year - book["author"]["born"].year
    print(f"    {book['title']!r} by {book['author']['name']}, who was {age} when it came out")


def call_several_actions(client: Client) -> None:
    """Send a job: several actions that one worker runs in order, with one request and one response."""
    print("A job of three actions, one request and one response:")
    job = client.call_actions(
        "library",
        [
            {"action": "find_books", "body": {"author": "Ursula K. Le Guin"}},
            {"action": "borrow_book", "body": {"isbn": DARKNESS, "member": "Ada"}},
            {"action": "get_book", "body": {"isbn": DARKNESS}},
        ],
    )
    assert isinstance(job, JobResponse)
    found, borrowed, _ = job.actions
    for book in found.body["books"]:
        print(f"    found {book['title']!r}, on shelf {book['shelf']}")
    loan = borrowed.body["loan"]
    print(f"    lent to {loan['member']} at {loan['borrowed_at']:%H:%M:%S %Z}, due on {loan['due']}")


def call_in_parallel(client: Client) -> None:
    """Send several jobs at once, which as many workers as there are serve side by side."""
    print("Two calls in parallel, each of which takes half a second:")
    start = time.monotonic()
    responses = client.call_actions_parallel(
        "library", [{"action": "count_shelf", "body": {"shelf": shelf}} for shelf in ("A1", "B2")]
    )
    for response in responses:
        body = response.body
        print(f"    worker {body['worker']} counted {body['books']} books on shelf {body['shelf']}")
    print(f"    both together took {time.monotonic() - start:.1f} s")


def meet_errors(client: Client) -> None:
    """Errors of an action arrive as an exception that carries them as objects."""
    print("Errors of an action are a typed exception:")
    client.call_action("library", "borrow_book", {"isbn": SOLARIS, "member": "Ada"})
    for body in ({"isbn": SOLARIS, "member": "Grace"}, {"isbn": "Solaris"}):
        try:
            client.call_action("library", "borrow_book", body)
        except client.CallActionError as error:
            for problem in error.actions[0].errors:
                print(f"    CallActionError: {problem.code} at {problem.field!r}: {problem.message}")


def introspect(client: Client) -> None:
    """Ask a service which actions it has, and for their schemas."""
    print("The built-in action 'introspect' lists the actions and their schemas:")
    body = client.call_action("library", "introspect").body
    for name in body["action_names"]:
        action = body["actions"][name]
        fields = ", ".join((action["request_schema"] or {}).get("contents", {}))
        summary = textwrap.shorten(action["documentation"], width=75, placeholder=" ...")
        print(f"    {name}({fields}): {summary}")


def main(redis: str) -> None:
    """Show all of it."""
    client = make_client(redis)
    for show in (
        ask_for_status,
        call_one_action,
        call_several_actions,
        call_in_parallel,
        meet_errors,
        introspect,
    ):
        show(client)
        print()


if __name__ == "__main__":
    main(os.environ.get("LIBRARY_REDIS", "localhost:6379"))

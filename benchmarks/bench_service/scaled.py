"""The measured service with a name and a number of actions of choice, from the environment.

``BENCH_SERVICE`` names it (``bench`` if absent), and ``BENCH_ACTIONS`` says how many actions it has (1). It
is started with ``python -m bench_service.scaled -s bench_service.scaled_settings``.
"""

from __future__ import annotations

import os

from conformity import fields

from bench_service.names import action_names
from bench_service.service import RECORD, EchoRecord
from pysoa.server.server import Server
from pysoa.server.standalone import simple_main


def _action(number: int) -> type[EchoRecord]:
    # Each has classes and schemas of its own, as the actions of a large service have.
    return type(
        f"Echo{number}",
        (EchoRecord,),
        {
            "request_schema": fields.Dictionary({"record": RECORD}),
            "response_schema": fields.Dictionary({"record": RECORD}),
        },
    )


class ScaledServer(Server):
    """The measured service; every action echoes a small record."""

    service_name = os.environ.get("BENCH_SERVICE", "bench")
    action_class_map = {
        name: _action(number)
        for number, name in enumerate(action_names(int(os.environ.get("BENCH_ACTIONS", "1"))))
    }


if __name__ == "__main__":
    simple_main(lambda: ScaledServer)

"""What the service does: answer, fail in every way that callers can see, and answer at length."""

import os
import time

from conformity import fields

from pysoa.common.types import Error
from pysoa.server.action.base import Action
from pysoa.server.errors import ActionError, JobError


class Echo(Action):
    """Answers with the body that came in."""

    def run(self, request):
        """Return it unchanged."""
        return request.body


class Typed(Action):
    """Accepts one well-formed body and answers with sets, tuples and dates."""

    request_schema = fields.Dictionary({"count": fields.Integer(gte=0), "when": fields.DateTime()})

    def run(self, request):
        """Return values that the serializers alone would refuse."""
        return {
            "numbers": set(range(request.body["count"])),
            "pair": (1, "two"),
            "when": request.body["when"],
        }


class InvalidAnswer(Action):
    """Breaks its own response schema."""

    response_schema = fields.Dictionary({"id": fields.Integer()})

    def run(self, request):
        """Return something else."""
        return {"id": "not a number"}


class FailAction(Action):
    """Raises an action error with all the fields of an error."""

    def run(self, request):
        """Raise it."""
        raise ActionError(
            [Error("NO_STOCK", "None left", field="sku", variables={"left": 0}, denied_permissions=["sell"])]
        )


class FailJob(Action):
    """Raises a job error."""

    def run(self, request):
        """Raise it."""
        raise JobError([Error("STOP", "The job is over")])


class Crash(Action):
    """Raises an exception that nobody expected."""

    def run(self, request):
        """Raise it."""
        raise ValueError("a crash on purpose")


class Letters(Action):
    """Answers with as many copies of one letter as asked for, and the process that answered."""

    def run(self, request):
        """Return them, after the wait that was asked for."""
        time.sleep(request.body.get("wait", 0))
        return {"text": request.body["letter"] * request.body["size"], "pid": os.getpid()}


class Headers(Action):
    """Answers with the headers that came with the request."""

    def run(self, request):
        """Return what every version of the framework hands to an action."""
        return {
            "switches": sorted(int(switch) for switch in request.switches),
            "context": {key: value for key, value in request.context.items() if key != "switches"},
            "control": dict(request.control),
        }

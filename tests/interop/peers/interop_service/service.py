"""The server class."""

from interop_service import actions
from pysoa.server.server import Server


class InteropServer(Server):
    """The service ``interop``."""

    service_name = "interop"
    action_class_map = {
        "echo": actions.Echo,
        "typed": actions.Typed,
        "invalid_answer": actions.InvalidAnswer,
        "fail_action": actions.FailAction,
        "fail_job": actions.FailJob,
        "crash": actions.Crash,
        "letters": actions.Letters,
        "headers": actions.Headers,
    }

"""The action that tells which versions a service runs, and how it is doing."""

from __future__ import annotations

import abc
import inspect
import platform
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Optional, TypeAlias

import conformity

from pysoa.common.interfaces import Schema
from pysoa.common.types import Body
from pysoa.server._fields import fields
from pysoa.server.action.base import Action
from pysoa.server.settings import ServerSettings
from pysoa.server.types import EnrichedActionRequest
from pysoa.version import __version__

if TYPE_CHECKING:  # it imports this module
    from pysoa.server.server import Server

__all__ = (
    "BaseStatusAction",
    "CheckMethodReturn",
    "CheckMethodStatus",
    "StatusActionFactory",
    "make_default_status_action_class",
)

_WRONG_SIGNATURE = "Status action check_* methods must accept a single argument of type EnrichedActionRequest"
_WRONG_RESULT = "Status action check_* methods must return None or an iterable of bool-str-str tuples."
_CALL_TIMEOUT_IN_SECONDS = 2


class CheckMethodStatus(NamedTuple):
    """One thing that a check found."""

    is_error: bool
    """Whether it is an error; else it is a warning."""
    code: str
    """What identifies it, such as ``MYSQL_FAILURE``."""
    description: str
    """What it is in words."""


CheckMethodReturn: TypeAlias = Optional[Iterable[CheckMethodStatus]]  # noqa: UP045 - the published alias
"""What a check returns: everything it found, or nothing."""


class BaseStatusAction(Action):
    """Base of status actions: tells versions, and runs the checks that subclasses define.

    A server without an action named ``status`` has one made by :func:`make_default_status_action_class`. To
    have your own version and build in it, use :func:`StatusActionFactory`; to have health checks as well,
    extend this class or what the factory made, and add methods whose names begin with ``check_``::

        class StatusAction(StatusActionFactory(version=__version__)):
            def check_database(self, request):
                if not database.is_reachable():
                    return [CheckMethodStatus(True, "DATABASE_FAILURE", "Could not connect")]

    A check gets the request, and returns something false if all is well. It may also write to
    ``self.diagnostics``, which becomes part of the response.

    One check is there but not switched on: it calls ``status`` on all services that this one is configured to
    call. To switch it on, give it a name of a check::

        check_client_settings = BaseStatusAction._check_client_settings
    """

    def __init__(self, settings: ServerSettings | None = None) -> None:
        """Construct the action, for one execution; overrides must call this.

        Args:
            settings: The server settings.
        """
        super().__init__(settings)
        self.diagnostics: dict[str, Any] = {}

    @property
    @abc.abstractmethod
    def _version(self) -> str:
        """The version of the service."""

    @property
    def _build(self) -> str | None:
        """The build of the service, if it has such a thing."""
        return None

    description: ClassVar[str | None] = (
        "Returns version info for the service, Python, PySOA, and Conformity. If the service has a build "
        "string, that is also returned. If the service has defined additional health check behavior and the "
        "`verbose` request attribute is not set to `False`, those additional health checks are performed and "
        "returned in the `healthcheck` response attribute. If the `verbose` request attribute is set to "
        "`False`, the additional health checks are not performed and `healthcheck` is not included in the "
        "response (importantly, the `check_` methods are not invoked)."
    )

    request_schema: ClassVar[Schema | None] = fields.Dictionary(
        {
            "verbose": fields.Boolean(
                description="If specified and False, this instructs the status action to return only the "
                "baseline "
                "status information (Python, service, PySOA, and other library versions) and omit any of the "
                "health "
                "check operations (no `healthcheck` attribute will be included in the response). This "
                "provides a "
                "useful way to obtain the service version very quickly without executing the often "
                "time-consuming "
                'code necessary for the full health check. It defaults to True, which means "return '
                'everything."',
            ),
        },
        optional_keys=("verbose",),
    )

    response_schema: ClassVar[Schema | None] = fields.Dictionary(
        {
            "build": fields.UnicodeString(description="The version build string, if applicable."),
            "conformity": fields.UnicodeString(description="The version of Conformity in use."),
            "healthcheck": fields.Dictionary(
                {
                    "warnings": fields.List(
                        fields.Tuple(
                            fields.UnicodeString(description="The invariant warning code"),
                            fields.UnicodeString(description="The readable warning description"),
                        ),
                        description="A list of any warnings encountered during the health checks.",
                    ),
                    "errors": fields.List(
                        fields.Tuple(
                            fields.UnicodeString(description="The invariant error code"),
                            fields.UnicodeString(description="The readable error description"),
                        ),
                        description="A list of any errors encountered during the health checks.",
                    ),
                    "diagnostics": fields.SchemalessDictionary(
                        key_type=fields.UnicodeString(),
                        description="A dictionary containing any additional diagnostic information output by "
                        "the health check operations.",
                    ),
                },
                optional_keys=("warnings", "errors", "diagnostics"),
                description="Information about any additional health check operations performed.",
            ),
            "pysoa": fields.UnicodeString(description="The version of PySOA in use."),
            "python": fields.UnicodeString(description="The version of Python in use."),
            "version": fields.UnicodeString(description="The version of the responding service."),
        },
        optional_keys=("build", "healthcheck"),
    )

    def run(self, request: EnrichedActionRequest) -> Body:
        """Tell the versions and, unless ``verbose`` is false, run the checks in the order of their names.

        Args:
            request: The request.

        Returns:
            The response body.
        """
        status: Body = {
            "conformity": conformity.__version__,
            "pysoa": __version__,
            "python": platform.python_version(),
            "version": self._version,
        }
        if self._build:
            status["build"] = self._build
        if request.body.get("verbose", True) is True:
            status["healthcheck"] = self._check_health(request)
        return status

    def _check_health(self, request: EnrichedActionRequest) -> dict[str, Any]:
        self.diagnostics = {}
        errors: list[tuple[str, str]] = []
        warnings: list[tuple[str, str]] = []
        for name in sorted(name for name in dir(self) if name.startswith("check_")):
            for is_error, code, description in self._check(name, request):
                (errors if is_error else warnings).append((code, description))
        return {"errors": errors, "warnings": warnings, "diagnostics": self.diagnostics}

    def _check(self, name: str, request: EnrichedActionRequest) -> Iterator[tuple[bool, str, str]]:
        check = getattr(self, name)
        _require_one_argument(check)
        problems = check(request)
        if not problems:
            return
        if not hasattr(problems, "__iter__"):
            raise RuntimeError(_WRONG_RESULT, TypeError(f"{name} returned {problems!r}"))
        for problem in problems:
            try:
                is_error, code, description = problem
            except (TypeError, ValueError) as error:
                raise RuntimeError(_WRONG_RESULT, error) from error
            yield is_error, code, description

    def _check_client_settings(self, request: EnrichedActionRequest) -> CheckMethodReturn:
        """Call ``status`` on all services that this one is configured to call; they do not pass that on."""
        if not request.client.settings:
            return None
        return list(self._check_services(request))

    def _check_services(self, request: EnrichedActionRequest) -> Iterator[CheckMethodStatus]:
        self.diagnostics["services"] = services = {}
        names = sorted(request.client.settings)
        try:
            responses = request.client.call_jobs_parallel(
                [
                    {"service_name": name, "actions": [{"action": "status", "body": {"verbose": False}}]}
                    for name in names
                ],
                timeout=_CALL_TIMEOUT_IN_SECONDS,
                catch_transport_errors=True,
                raise_action_errors=False,
                raise_job_errors=False,
            )
        except Exception as error:
            yield CheckMethodStatus(True, "CHECK_SERVICES_UNKNOWN_ERROR", str(error))
            return
        for name, response in zip(names, responses, strict=True):
            if isinstance(response, Exception):
                yield CheckMethodStatus(True, f"{name.upper()}_TRANSPORT_ERROR", str(response))
            elif response.errors:
                yield CheckMethodStatus(True, f"{name.upper()}_CALL_ERROR", str(response.errors))
            elif response.actions[0].errors:
                yield CheckMethodStatus(True, f"{name.upper()}_STATUS_ERROR", str(response.actions[0].errors))
            else:
                services[name] = response.actions[0].body


def _require_one_argument(check: Any) -> None:
    """Find out before the call: a ``TypeError`` from the call might be the check's own."""
    if not callable(check):
        raise RuntimeError(_WRONG_SIGNATURE, TypeError(f"{check!r} is not callable"))
    try:
        signature = inspect.signature(check)
    except (TypeError, ValueError):
        return  # written in C, perhaps: calling it will tell
    try:
        signature.bind(None)
    except TypeError as error:
        raise RuntimeError(_WRONG_SIGNATURE, error) from error


def StatusActionFactory(  # noqa: N802 - its published name
    version: str,
    build: str | None = None,
    base_class: type[BaseStatusAction] = BaseStatusAction,
) -> type[BaseStatusAction]:
    """Make a status action class for a service.

    Args:
        version: The version of the service.
        build: The build of the service, if it has such a thing.
        base_class: What the class extends.

    Returns:
        A class named ``StatusAction``.
    """
    return type(
        "StatusAction",
        (base_class,),
        {
            "_version": property(lambda _self: version),
            "_build": property(lambda _self: build),
            "__doc__": base_class.__doc__,
            "__module__": base_class.__module__,
        },
    )


def make_default_status_action_class(server_class: type[Server]) -> type[BaseStatusAction]:
    """Make the status action class of a service that defines none.

    Args:
        server_class: The server class. ``__version__`` and ``__build__`` of its top-level package are told.

    Returns:
        The class.
    """
    package = sys.modules.get(server_class.__module__.split(".", 1)[0])
    version = getattr(package, "__version__", None)
    build = getattr(package, "__build__", None)
    return StatusActionFactory(str(version) if version else "unknown", str(build) if build else None)

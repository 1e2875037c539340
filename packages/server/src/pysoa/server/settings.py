"""The settings of a server."""

from __future__ import annotations

import logging.handlers
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, cast

from conformity.fields import Set
from conformity.fields.logging import PythonLogLevel
from conformity.settings import SettingsData, SettingsSchema
from conformity.types import Error

from pysoa.common.settings import SOASettings
from pysoa.common.transport.base import ServerTransport
from pysoa.server._fields import fields
from pysoa.server._logging_merge import drop_unused_defaults
from pysoa.server._logging_schema import LOGGING_SCHEMA
from pysoa.server.internal.event_loop import coroutine_middleware_config
from pysoa.server.middleware import ServerMiddleware

__all__ = ("ServerSettings",)


class _Names(Set):
    """A set of strings, which settings read from JSON or YAML can only write as a list."""

    def errors(self, value: Any) -> list[Error]:
        """Return what is wrong with the names."""
        if isinstance(value, (str, bytes, Mapping, AbstractSet)) or not isinstance(value, Iterable):
            return list(super().errors(value))
        names = enumerate(cast("Iterable[object]", value))
        return [
            _error("Not a unicode string", pointer=str(index))
            for index, name in names
            if not isinstance(name, str)
        ]


# Seen without the types, for the reason that _fields gives.
_names: Any = _Names
_error: Any = Error

extra_schema: SettingsSchema = {"coroutine_middleware": coroutine_middleware_config}
extra_defaults: SettingsData = {
    "coroutine_middleware": [{"path": "pysoa.server.coroutine:DefaultCoroutineMiddleware"}],
}


class ServerSettings(SOASettings):
    """The settings of a server, checked against their schema and completed with defaults.

    ``middleware`` takes subclasses of :class:`~pysoa.server.middleware.ServerMiddleware`, ``transport`` a
    subclass of :class:`~pysoa.common.transport.base.ServerTransport`; the accepted ``kwargs`` of each are
    those that the class registered for itself.

    A service may extend this class, add keys to :attr:`schema` and :attr:`defaults`, and set
    :attr:`Server.settings_class <pysoa.server.server.Server.settings_class>`.
    """

    schema: SettingsSchema = {
        "transport": fields.ClassConfigurationSchema(base_class=ServerTransport),
        "middleware": fields.List(
            fields.ClassConfigurationSchema(base_class=ServerMiddleware),
            description="The `ServerMiddleware` around jobs and actions; the first is the outermost.",
        ),
        "client_routing": fields.SchemalessDictionary(
            key_type=fields.UnicodeString(),
            value_type=fields.SchemalessDictionary(),
            description="The settings of the client that actions find in `request.client`: by the names of "
            "services, what `ClientSettings` accepts. They are checked when a client is first needed.",
        ),
        "logging": LOGGING_SCHEMA,
        "harakiri": fields.Dictionary(
            {
                "timeout": fields.Integer(
                    gte=0,
                    description="Seconds that one request may take. Then its action is interrupted, and the "
                    "worker ends. 0 for no limit.",
                ),
                "shutdown_grace": fields.Integer(
                    gt=0,
                    description="Seconds that the interrupted worker has to end in order. Then its process "
                    "is ended at once.",
                ),
            },
            description="How long a request may take, and what then becomes of the worker.",
        ),
        "request_log_success_level": PythonLogLevel(
            description="The level at which `pysoa.server.job` logs requests and responses of jobs without "
            "errors."
        ),
        "request_log_error_level": PythonLogLevel(
            description="The level at which `pysoa.server.job` logs requests and responses of jobs with "
            "errors. If it is more severe than `request_log_success_level`, filters can tell them apart."
        ),
        "heartbeat_file": fields.Nullable(
            fields.UnicodeString(
                description="A file that each worker creates when it starts, touches after each request and "
                "in each idle round, and removes when it ends. `{{pid}}` in the name becomes the process id. "
                "`{{fid}}` becomes the number of the worker, from 1 to what `--fork` says; where nothing is "
                "forked, it stays."
            )
        ),
        "extra_fields_to_redact": _names(
            fields.UnicodeString(),
            description="Names of fields whose values are hidden in logged requests and responses, beside "
            "those that PySOA hides anyway. Any collection of strings will do.",
        ),
        "send_tracebacks": fields.Boolean(
            description="Whether error responses for unexpected exceptions carry the traceback and the "
            "variables that describe what failed. They help the callers' developers, and show them this "
            "service's code paths.",
        ),
        "maximum_transport_outage_in_seconds": fields.Nullable(
            fields.Integer(
                gt=0,
                description="For how long the server keeps trying to receive requests while its transport "
                "fails, before it gives up and exits with code 1. `None`: for ever.",
            )
        ),
        "heartbeat_during_jobs": fields.Boolean(
            description="Whether the heartbeat file is also touched while a job runs that is within its time "
            "(see `harakiri`). If not, its age tells when a worker has not finished a job for long.",
        ),
        **extra_schema,
    }
    """What the settings may be."""

    defaults: SettingsData = {
        "transport": {"path": "pysoa.common.transport.redis_gateway.server:RedisServerTransport"},
        "client_routing": {},
        "logging": {
            "version": 1,
            "formatters": {
                "console": {
                    "format": "%(asctime)s %(levelname)7s %(correlation_id)s %(request_id)s: %(message)s",
                },
                "syslog": {
                    "format": "%(service_name)s_service: %(name)s %(levelname)s %(module)s %(process)d "
                    "correlation_id %(correlation_id)s request_id %(request_id)s %(message)s",
                },
            },
            "filters": {
                "pysoa_logging_context_filter": {"()": "pysoa.common.logging.PySOALogContextFilter"},
            },
            "handlers": {
                "console": {
                    "level": "INFO",
                    "class": "logging.StreamHandler",
                    "formatter": "console",
                    "filters": ["pysoa_logging_context_filter"],
                },
                "syslog": {
                    "level": "INFO",
                    "class": "pysoa.common.logging.SyslogHandler",
                    "facility": logging.handlers.SysLogHandler.LOG_LOCAL7,
                    "address": ("localhost", 514),
                    "formatter": "syslog",
                    "filters": ["pysoa_logging_context_filter"],
                },
            },
            "loggers": {},
            "root": {"handlers": ["console"], "level": "INFO"},
            "disable_existing_loggers": False,
        },
        "harakiri": {"timeout": 300, "shutdown_grace": 30},
        "request_log_success_level": "INFO",
        "request_log_error_level": "INFO",
        "heartbeat_file": None,
        "extra_fields_to_redact": set[str](),
        "send_tracebacks": True,
        "maximum_transport_outage_in_seconds": None,
        "heartbeat_during_jobs": False,
        **extra_defaults,
    }
    """What the settings are where a service says nothing; mappings are merged, everything else is replaced.

    Of the default logging handlers, formatters and filters only those are merged in that the resulting
    configuration uses.
    """

    def set(self, data: SettingsData) -> None:
        """Check the data, complete it with defaults and hold it.

        Args:
            data: The settings of the service; copied.

        Raises:
            ImproperlyConfigured: Something in the data is unknown, missing or wrong.
        """
        super().set(data)
        drop_unused_defaults(self["logging"], data.get("logging", {}))

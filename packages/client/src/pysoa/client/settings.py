"""The settings of a client for one service."""

from __future__ import annotations

from conformity.settings import SettingsData, SettingsSchema

from pysoa.client import errors
from pysoa.client.middleware import ClientMiddleware
from pysoa.common._conformity import class_configuration, list_of
from pysoa.common.settings import SOASettings
from pysoa.common.transport.base import ClientTransport

__all__ = ("ClientSettings",)


class ClientSettings(SOASettings):
    """How a client reaches one service: the transport, the middleware and where metrics go.

    The default transport is the Redis transport, of the distribution ``pysoa-transport-redis``. It is named
    here only as a string, and must be installed only for services that use it.
    """

    class ImproperlyConfigured(SOASettings.ImproperlyConfigured, errors.ImproperlyConfigured):
        """Raised when settings are wrong, or name a class that is not installed.

        It is what the settings library raises, and what calling a service with a client raises that is not
        configured for it; 1.x users catch either.
        """

    schema: SettingsSchema = {
        "transport": class_configuration(base_class=ClientTransport),
        "middleware": list_of(
            class_configuration(base_class=ClientMiddleware),
            description="The list of all `ClientMiddleware` objects that should be applied to requests made "
            "from this client to the associated service",
        ),
    }
    """What is allowed under each key, besides what all settings have."""

    defaults: SettingsData = {
        "transport": {"path": "pysoa.common.transport.redis_gateway.client:RedisClientTransport"},
    }
    """The values of the keys that may be left out, besides what all settings have."""

"""The interrupt that ends what takes too long."""

from __future__ import annotations

__all__ = ("HarakiriInterrupt",)


class HarakiriInterrupt(BaseException):
    """Raised in the main thread when a request has been processed for too long; see the ``harakiri`` setting.

    Service code must never catch it, which is why it is no ``Exception``. So never write ``except:`` or
    ``except BaseException:`` in an action without raising again.
    """


HarakiriInterrupt.__module__ = "pysoa.server.server"

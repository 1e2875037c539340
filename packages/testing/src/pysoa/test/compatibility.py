"""The mock library that PySOA 1.x gave its users.

It is the third-party package ``mock`` if that is installed, else :mod:`unittest.mock`. The stubs of
:mod:`pysoa.test.stub_service` always derive from :mod:`unittest.mock`, and get along with both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unittest import mock
else:
    try:
        import mock  # noqa: UP026 - users who have installed it get it
    except ImportError:
        from unittest import mock

__all__ = ("mock",)

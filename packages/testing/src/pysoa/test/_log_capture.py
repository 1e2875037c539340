"""The context of ``assertLogs``."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

__all__ = ("AssertLogsContext", "LoggingWatcher")

_FORMAT = "%(levelname)s:%(name)s:%(message)s"


class LoggingWatcher(NamedTuple):
    """What was logged within the block."""

    records: list[logging.LogRecord]
    """The log records."""
    output: list[str]
    """The records as text: ``LEVEL:logger:message``."""


class _CapturingHandler(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.watcher = LoggingWatcher([], [])
        self.setFormatter(logging.Formatter(_FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        self.watcher.records.append(record)
        self.watcher.output.append(self.format(record))


class AssertLogsContext:
    """Sends what a logger logs nowhere but here for a while, and asserts that it logs anything.

    Args:
        logger: The logger or its name; ``None`` is the root logger.
        level: The lowest level that counts, as a number or a name; ``None`` is ``INFO``.

    Raises:
        KeyError: There is no level of this name.
    """

    def __init__(
        self, logger: str | bytes | logging.Logger | None = None, level: str | bytes | int | None = None
    ) -> None:
        self._name = None if isinstance(logger, logging.Logger) else _text(logger)
        self._logger = logger if isinstance(logger, logging.Logger) else logging.getLogger(self._name)
        self._level = _level_number(level)
        self._handler = _CapturingHandler()
        self._before: tuple[list[logging.Handler], int, bool] = ([], 0, True)

    def __enter__(self) -> LoggingWatcher:
        logger = self._logger
        self._before = (logger.handlers, logger.level, logger.propagate)
        logger.handlers = [self._handler]
        logger.setLevel(self._level)
        logger.propagate = False
        return self._handler.watcher

    def __exit__(self, exc_type: type[BaseException] | None, *exc_info: object) -> None:
        __tracebackhide__ = True
        self._logger.handlers, level, self._logger.propagate = self._before
        self._logger.setLevel(level)
        if exc_type is None and not self._handler.watcher.records:
            name: Any = self._logger.name if self._logger is not logging.root else None
            raise AssertionError(
                f"No logs of level {logging.getLevelName(self._level)} or higher triggered on {name}"
            )


def _level_number(level: str | bytes | int | None) -> int:
    if level is None:
        return logging.INFO
    return level if isinstance(level, int) else logging.getLevelNamesMapping()[_text(level)]


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value

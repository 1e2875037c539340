"""The parent process of forked workers: starts them, keeps them running, passes signals on."""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.context
import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable

import attrs

from pysoa.server._harakiri import exit_after
from pysoa.server._parent_death import ParentDeath

__all__ = ("WorkerGroup", "capped_worker_count")

_WORKERS_PER_CPU = 5
_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD})
_DUPLICATE_WINDOW_IN_SECONDS = 1.0
_POLL_INTERVAL_IN_SECONDS = 5.0
_FIRST_RESPAWN_DELAY_IN_SECONDS = 0.1
_KILL_SLACK_IN_SECONDS = 10.0
_EXIT_SLACK_IN_SECONDS = 1.0
_SHORT_LIFE_IN_SECONDS = 5.0

# A worker may be respawned so many times within so many seconds.
_RESPAWN_LIMITS = ((8, 60.0, "minute"), (3, 15.0, "15 seconds"))

_logger = logging.getLogger("pysoa.server")
_context: multiprocessing.context.ForkContext = multiprocessing.get_context("fork")


def capped_worker_count(requested: int) -> int:
    """Return how many workers to fork: as many as requested, but at most five per CPU."""
    cpus = multiprocessing.cpu_count()
    cap = cpus * _WORKERS_PER_CPU
    if requested <= cap:
        return requested
    print(  # noqa: T201 - scripts around 1.x services look for these lines
        f"WARNING: Number of requested process forks ({requested}) is greater than five times the number of "
        f"CPU cores available ({cpus} cores). Capping number of forks at {cap}.",
        flush=True,
    )
    return cap


@attrs.define(eq=False)
class _Worker:
    """One place in the group, filled by one process after the other."""

    number: int
    process: multiprocessing.context.ForkProcess | None = None
    started_at: float = 0.0
    respawn_at: float | None = None
    respawns: deque[float] = attrs.field(factory=lambda: deque(maxlen=_RESPAWN_LIMITS[0][0]))

    @property
    def is_over(self) -> bool:
        return self.process is None and self.respawn_at is None

    @property
    def exceeded_limit(self) -> tuple[int, str] | None:
        """Which limit one more respawn would break now."""
        now = time.monotonic()
        for count, seconds, period in _RESPAWN_LIMITS:
            if len(self.respawns) >= count and now - self.respawns[-count] < seconds:
                return count, period
        return None

    @property
    def respawn_delay_in_seconds(self) -> float:
        """Longer with each of the latest respawns, so that a broken worker does not eat the machine."""
        now = time.monotonic()
        recent = sum(1 for respawned_at in self.respawns if now - respawned_at < _RESPAWN_LIMITS[1][1])
        return _FIRST_RESPAWN_DELAY_IN_SECONDS * (1 << recent)


class WorkerGroup:
    """Forked workers and their parent.

    The parent has one thread, from which it forks: no lock can be held by a thread that the child does not
    have. It sleeps in ``select`` until a signal arrives, a worker ends, or it is time to respawn one.
    """

    def __init__(
        self,
        worker_main: Callable[[int], None],
        count: int,
        *,
        respawn: bool,
        shutdown_grace_in_seconds: float,
        before_first_fork: Callable[[], None],
        before_each_fork: Callable[[], None],
        after_first_fork: Callable[[], None],
    ) -> None:
        """Describe the group; :meth:`run` starts it.

        Args:
            worker_main: What each worker runs, called with its number, which starts at 1.
            count: How many workers there are.
            respawn: Whether a worker that ends unasked is replaced.
            shutdown_grace_in_seconds: How long workers may take to end once they were told twice. They are
                killed some seconds after that.
            before_first_fork: Called once, after the signal handlers are in place.
            before_each_fork: Called before every fork, also when respawning.
            after_first_fork: Called once, when all the workers run.
        """
        self._worker_main = worker_main
        self._workers = [_Worker(number) for number in range(1, count + 1)]
        self._respawn = respawn
        self._grace_in_seconds = shutdown_grace_in_seconds
        self._before_first_fork = before_first_fork
        self._before_each_fork = before_each_fork
        self._after_first_fork = after_first_fork
        self._parent_death = ParentDeath(os.getpid())
        self._received: deque[int] = deque()
        self._has_workers = False
        self._stop_asked_at: float | None = None
        self._force_at: float | None = None
        self._forced_at: float | None = None
        self._kill_at: float | None = None
        self._failed = False
        self._wakeup_reader, self._wakeup_writer = -1, -1

    def run(self) -> int:
        """Run the group until every worker has ended for good.

        Returns:
            The exit code for the parent: 0 if it was told to stop and every worker did so in order, else 1.
        """
        self._install_handlers()
        try:
            self._before_first_fork()
            self._has_workers = True
            for worker in self._workers:
                self._start(worker)
            self._after_first_fork()
            self._supervise()
        finally:
            self._kill_all()
        return 1 if self._failed else 0

    # -- signals ---------------------------------------------------------------------------------------------

    def _install_handlers(self) -> None:
        self._wakeup_reader, self._wakeup_writer = os.pipe()
        os.set_blocking(self._wakeup_reader, False)
        os.set_blocking(self._wakeup_writer, False)
        signal.set_wakeup_fd(self._wakeup_writer, warn_on_full_buffer=False)
        for number in _SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) is signal.SIG_DFL:  # not under nohup
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: object) -> None:
        if number == signal.SIGCHLD:
            return  # it only has to end the sleep
        if not self._has_workers:
            raise SystemExit(0)  # nothing has been started that would have to finish
        self._received.append(number)

    def _handle_signals(self) -> None:
        while self._received:
            self._received.popleft()
            now = time.monotonic()
            if self._stop_asked_at is None:
                self._stop_asked_at = now
                self._signal_all(signal.SIGTERM)
            elif self._forced_at is not None:
                if now - self._forced_at >= _DUPLICATE_WINDOW_IN_SECONDS:
                    self._kill_at = now
            elif now - self._stop_asked_at >= _DUPLICATE_WINDOW_IN_SECONDS and self._force_at is None:
                # The workers measure the second on their own clocks, so give them a little more.
                self._force_at = max(now, self._stop_asked_at + _DUPLICATE_WINDOW_IN_SECONDS + 0.2)

    def _escalate(self) -> None:
        now = time.monotonic()
        if self._force_at is not None and now >= self._force_at:
            self._force_at = None
            self._forced_at = now
            self._kill_at = now + self._grace_in_seconds + _KILL_SLACK_IN_SECONDS
            self._failed = True
            _logger.warning("Received double interrupt, forcing shutdown of all workers")
            self._signal_all(signal.SIGTERM)
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._failed = True
            _logger.error("Workers have not ended; killing them")
            self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for worker in self._workers:
            process = worker.process
            # Forking another worker may have reaped this one already, and then its id may be another's.
            if process is not None and process.pid is not None and process.exitcode is None:
                os.kill(process.pid, number)

    # -- workers ---------------------------------------------------------------------------------------------

    def _start(self, worker: _Worker) -> None:
        self._before_each_fork()
        process = _context.Process(
            target=self._run_worker,
            name=f"pysoa-worker-{worker.number}",
            args=(worker.number,),
        )
        # A signal between the fork and the child's own first steps waits until it is ready for it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._mask_of_workers = mask
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        worker.process = process
        worker.started_at = time.monotonic()
        worker.respawn_at = None

    def _run_worker(self, number: int) -> None:
        """Run in the child: forget what belongs to the parent, then work."""
        signal.set_wakeup_fd(-1)
        for signal_number in _SIGNALS:
            if signal.getsignal(signal_number) == self._on_signal:
                signal.signal(signal_number, signal.SIG_DFL)
        os.close(self._wakeup_reader)
        os.close(self._wakeup_writer)
        self._parent_death.end_with_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask_of_workers)
        try:
            self._worker_main(number)
        finally:
            # The interpreter waits for threads that are no daemons, perhaps for ever.
            exit_after(self._grace_in_seconds + _EXIT_SLACK_IN_SECONDS)

    def _supervise(self) -> None:
        while True:
            self._handle_signals()
            self._escalate()
            for worker in self._workers:
                self._look_after(worker)
            if all(worker.is_over for worker in self._workers):
                return
            self._sleep()

    def _look_after(self, worker: _Worker) -> None:
        if worker.process is not None:
            exit_code = worker.process.exitcode
            if exit_code is not None:
                worker.process.close()
                worker.process = None
                self._note_end(worker, exit_code)
        elif worker.respawn_at is not None:
            if self._stop_asked_at is not None:
                worker.respawn_at = None
            elif time.monotonic() >= worker.respawn_at:
                self._respawn_worker(worker)

    def _note_end(self, worker: _Worker, exit_code: int) -> None:
        lifetime = time.monotonic() - worker.started_at
        if self._stop_asked_at is not None:
            # SIGTERM ends a worker that has not come to its run loop yet, where it has nothing to finish.
            self._failed = self._failed or exit_code not in (0, -signal.SIGTERM)
            return
        level = logging.ERROR if exit_code else logging.WARNING
        _logger.log(level, "Worker process #%s ended with exit code %s", worker.number, exit_code)
        if not self._respawn:
            self._failed = self._failed or exit_code != 0
            return
        if limit := worker.exceeded_limit:
            self._give_up(worker, *limit)
            return
        delay = worker.respawn_delay_in_seconds
        worker.respawn_at = time.monotonic() + delay
        if exit_code or lifetime < _SHORT_LIFE_IN_SECONDS:
            # One that has served and was stopped by somebody has not crashed.
            worker.respawns.append(worker.respawn_at)

    def _respawn_worker(self, worker: _Worker) -> None:
        print(f"Re-spawning failed server process #{worker.number}", flush=True)  # noqa: T201 - as in 1.x
        try:
            self._start(worker)
        except OSError as error:
            _logger.error("Cannot fork worker process #%s, trying again: %s", worker.number, error)
            worker.respawn_at = time.monotonic() + _DUPLICATE_WINDOW_IN_SECONDS

    def _give_up(self, worker: _Worker, count: int, period: str) -> None:
        self._failed = True
        message = (
            f"Server process #{worker.number} has crashed too many times ({count}) in the last {period}; not "
            "respawning."
        )
        print(message, flush=True)  # noqa: T201 - as in 1.x
        _logger.critical("%s", message)

    def _sleep(self) -> None:
        now = time.monotonic()
        times = [worker.respawn_at for worker in self._workers if worker.respawn_at is not None]
        times += [at for at in (self._force_at, self._kill_at) if at is not None]
        seconds = min([_POLL_INTERVAL_IN_SECONDS, *(at - now for at in times)])
        select.select([self._wakeup_reader], [], [], max(seconds, 0.0))
        try:
            while os.read(self._wakeup_reader, 512):
                pass
        except BlockingIOError:
            pass

    def _kill_all(self) -> None:
        """Leave no worker behind when the parent itself fails."""
        self._signal_all(signal.SIGTERM)
        until = time.monotonic() + self._grace_in_seconds
        for worker in self._workers:
            if worker.process is not None:
                worker.process.join(max(0.0, until - time.monotonic()))
                worker.process.kill()
                worker.process.join()

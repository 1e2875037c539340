"""The checks of this repository: ``nox -l`` lists them, ``nox -s NAME -- ARGUMENTS`` runs one.

``make`` installs all tools into ``.venv`` and runs nox from there; sessions that only need these tools then
use that environment, and start at once. Started from elsewhere, and for everything that needs other versions,
nox makes environments in ``.nox``, and installs into them only when a pyproject.toml has changed.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable

import nox

nox.needs_version = ">=2024.10"
nox.options.sessions = ["lint", "types", "test"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False

ROOT = pathlib.Path(__file__).parent
PACKAGES = ("common", "client", "server", "transport-redis", "testing")
PYTHONS = ("3.11", "3.12", "3.13")

EDITABLE = [part for name in PACKAGES for part in ("-e", f"packages/{name}")]
PYPROJECTS = [ROOT / "pyproject.toml", *(ROOT / "packages" / name / "pyproject.toml" for name in PACKAGES)]

# tests/packaging builds wheels and many environments: the session `wheels` runs it.
EVERYTHING = ["--ignore=tests/packaging"]
# What is not disturbed by other tests beside it.
SIDE_BY_SIDE = [
    "packages/common/tests",
    "packages/client/tests",
    "packages/server/tests",
    "packages/testing/tests",
    "packages/transport-redis/tests",
    "tests/docs",
    "tests/readmes",
    "examples",
]

# What the sessions with other versions run unless they are given something else, like "packages tests". The
# rest touches that library only through these parts, if at all, and takes minutes.
WITH_ATTRS = [
    "packages/common/tests",
    "packages/client/tests",
    "packages/server/tests",
    "--ignore=packages/client/tests/client/test_acceptance.py",
    "--ignore=packages/server/tests/server/process",
    "examples",
]
REDIS_TESTS = "packages/transport-redis/tests/common/transport/redis_gateway"
WITH_REDIS = [
    f"{REDIS_TESTS}/{name}" for name in ("backend", "test_backends.py", "test_client.py", "test_core.py")
]
WITH_PYTEST = [
    "packages/testing/tests",
    "--ignore=packages/testing/tests/test/plan/test_tutorial.py",
    "--ignore=packages/testing/tests/test/test_redis_server.py",
    "--ignore=packages/testing/tests/test/test_running.py",
    "examples",
]

IN_PROJECT_ENVIRONMENT = pathlib.Path(sys.prefix).resolve() == (ROOT / ".venv").resolve()
tool_session = nox.session(venv_backend="none" if IN_PROJECT_ENVIRONMENT else "venv")


@tool_session
def test(session: nox.Session) -> None:
    """Run the whole test suite with the interpreter of .venv."""
    install(session, *EDITABLE, "--group", "test")
    pytest(session, *EVERYTHING)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run the whole test suite with every supported Python that is present."""
    for version in PYTHONS:
        session.notify(f"tests-{version}", session.posargs)


def tests_with(version: str) -> Callable[[nox.Session], None]:
    """Return the session that runs the whole test suite with one Python."""

    def tests_version(session: nox.Session) -> None:
        install(session, *EDITABLE, "--group", "test")
        pytest(session, *EVERYTHING)

    tests_version.__doc__ = f"Run the whole test suite with Python {version}."
    return tests_version


def interpreter(version: str) -> str:
    """Return the interpreter of a version as nox takes it.

    pyenv puts a command of that name on PATH that only works where the version is switched on; then its real
    path is better.
    """
    command = shutil.which(f"python{version}")
    if command is None or subprocess.run([command, "-c", ""], capture_output=True, check=False).returncode:
        pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
        found = sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
        if found:
            return str(found[-1])
    return version


for _version in PYTHONS:
    nox.session(name=f"tests-{_version}", python=interpreter(_version), venv_backend="venv")(
        tests_with(_version)
    )


@nox.session(venv_backend="venv")
def tests_installed(session: nox.Session) -> None:
    """Run the whole test suite against the built wheels instead of the source folders."""
    wheels = build_wheels(session)
    session.install("--force-reinstall", "--no-deps", *wheels)
    if session.posargs:
        pytest(session, *EVERYTHING)
        return
    pytest(session, "-n", "2", *SIDE_BY_SIDE)
    pytest(session, *EVERYTHING, *(f"--ignore={folder}" for folder in SIDE_BY_SIDE))


@tool_session
def attrs_current(session: nox.Session) -> None:
    """Run what works with attrs classes with the newest attrs, past the cap of conformity and pymetrics."""
    pytest_with(session, "attrs", WITH_ATTRS)


@tool_session
def redis_oldest(session: nox.Session) -> None:
    """Run what works with redis-py with the oldest that we support."""
    pytest_with(session, "redis==5.0.0", WITH_REDIS)


@tool_session
def pytest_oldest(session: nox.Session) -> None:
    """Run the tests of pysoa-testing and of the example with the oldest pytest that services may use."""
    pytest_with(session, "pytest==8.0.0", WITH_PYTEST)


@tool_session
def interop(session: nox.Session) -> None:
    """Let the original PySOA 1.4.9 and ours call each other over real Redis servers."""
    install(session, *EDITABLE, "--group", "test")
    pytest(session, "tests/interop")


@tool_session
def faults(session: nox.Session) -> None:
    """Break Redis, workers and clients on purpose and look at what is left."""
    install(session, *EDITABLE, "--group", "test")
    pytest(session, "tests/faults")


@tool_session
def wheels(session: nox.Session) -> None:
    """Build the five distributions, and install and use them in empty environments."""
    install(session, "--group", "test", "--group", "types", "--group", "wheels")
    pytest(session, "tests/packaging")


@tool_session
def types(session: nox.Session) -> None:
    """Check all types: mypy --strict with the tests, pyright strict for the packages."""
    install(session, *EDITABLE, "--group", "test", "--group", "types", "--group", "docs", "--group", "nox")
    run(session, "mypy")
    # On its own: mypy takes the conftest.py in a folder with a hyphen for a module of the same name.
    run(session, "mypy", "conftest.py")
    run(session, "pyright")
    # Attributes without a declared type count as unknown to users. tests/packaging looks at all packages so.
    # In this mode pyright finds the packages by the interpreter on PATH.
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    for package in ("pysoa.client", "pysoa.common.transport.redis_gateway"):
        environment = {"PATH": path} if session.venv_backend == "none" else None
        run(session, "pyright", "--verifytypes", package, "--ignoreexternal", env=environment)


@tool_session
def lint(session: nox.Session) -> None:
    """Check style, formatting and the direction of imports."""
    install(session, *EDITABLE, "--group", "lint")
    run(session, "ruff", "check")
    run(session, "ruff", "format", "--check")
    run(session, "lint-imports", "--no-cache")


@tool_session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning or an unresolved reference is an error."""
    # The reference imports all modules, so it needs what their extras bring; the tests have all of it.
    install(session, *EDITABLE, "--group", "docs", "--group", "test")
    run(
        session,
        "python",
        "-m",
        "sphinx",
        "-W",
        "-n",
        "--keep-going",
        "-q",
        "docs",
        "docs/_build/html",
        *session.posargs,
    )
    for page in (ROOT / "docs").rglob("*.md"):
        diagrams = page.read_text().count("```{sequence}")
        html = ROOT / "docs/_build/html" / page.relative_to(ROOT / "docs").with_suffix(".html")
        if html.read_text().count('<div class="diagram" tabindex="0"><svg ') != diagrams:
            session.error(f"{html} does not show all diagrams of {page}")
    session.log("Open docs/_build/html/index.html.")


@tool_session
def bench(session: nox.Session) -> None:
    """Measure calls per second, beside raw Redis and PySOA 1.4.9."""
    install(session, *EDITABLE, "--group", "test")
    run(session, "python", "benchmarks/run.py", *session.posargs)


@tool_session
def demo(session: nox.Session) -> None:
    """Start the example service on a private Redis and call it."""
    install(session, *EDITABLE, "-e", "packages/testing[redis]")
    run(session, "python", "examples/demo.py")


def run(session: nox.Session, program: str, *arguments: str, env: dict[str, str] | None = None) -> None:
    """Run a program of the session's environment, whichever that is."""
    if session.venv_backend == "none":
        program = str(pathlib.Path(sys.executable).with_name(program))
    session.run(program, *arguments, env=env)


def pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest with the arguments given here and those given to nox."""
    run(session, "python", "-m", "pytest", *arguments, *session.posargs)


def pytest_with(session: nox.Session, requirement: str, tests: list[str]) -> None:
    """Run tests with another version of one library, which lies in a folder in front of the environment's.

    Args:
        session: Its arguments, if it has any, say what to run instead.
        requirement: The library, and which version of it. None of its dependencies is replaced.
        tests: What to run.
    """
    install(session, *EDITABLE, "--group", "test")
    folder = ROOT / ".nox" / f"{session.name}-library"
    shutil.rmtree(folder, ignore_errors=True)
    run(session, "python", "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), requirement)
    in_front = {"PYTHONPATH": str(folder)}
    package = requirement.partition("=")[0]
    check = f"import {package} as it; print(it.__file__); assert it.__file__.startswith({str(folder)!r})"
    run(session, "python", "-c", check, env=in_front)
    run(session, "python", "-m", "pytest", *(session.posargs or tests), env=in_front)


def install(session: nox.Session, *arguments: str) -> None:
    """Install into the session's own environment, unless that was done before from the same files.

    Args:
        session: One that runs in the project's environment already has everything.
        arguments: What pip gets.
    """
    if session.venv_backend == "none":
        return
    inputs = repr(arguments).encode() + b"".join(path.read_bytes() for path in PYPROJECTS)
    digest = hashlib.sha256(inputs).hexdigest()
    stamp = pathlib.Path(session.virtualenv.location) / ".installed"
    if stamp.exists() and stamp.read_text() == digest:
        return
    stamp.unlink(missing_ok=True)
    session.install("--upgrade", "pip>=25.1")  # for --group
    session.install(*arguments)
    stamp.write_text(digest)


def build_wheels(session: nox.Session) -> list[str]:
    """Build the five wheels, install them with what they and the tests need, and return their paths."""
    folder = pathlib.Path(session.create_tmp()).resolve() / "wheels"
    # It becomes the folder for all temporary files, and pytest would find our configuration there.
    session.env.pop("TMPDIR", None)
    shutil.rmtree(folder, ignore_errors=True)
    session.install("--upgrade", "pip>=25.1")
    session.run_install(
        "python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), *package_folders()
    )
    built = sorted(str(path) for path in folder.glob("*.whl"))
    session.install(*built, "--group", "test")
    return built


def package_folders() -> list[str]:
    """Return the folders of the five distributions as pip takes them."""
    return [f"./packages/{name}" for name in PACKAGES]

"""Makes and finds the interpreters of the contestants."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE / ".environments"
PACKAGES = HERE.parent / "packages"

_DESCRIBE = """
import json, platform, attr, msgpack, redis
try:
    import hiredis
    parser = hiredis.__version__
except ImportError:
    parser = "none"
packer = msgpack.Packer.__module__.rpartition(".")[2]
print(json.dumps({
    "python": platform.python_version(),
    "redis-py": redis.__version__,
    "hiredis": parser,
    "msgpack": ".".join(map(str, msgpack.version)) + " " + packer,
    "attrs": attr.__version__,
}))
"""


def ours() -> str:
    """Return the interpreter that runs this program, in which our distributions are installed."""
    return sys.executable


def production() -> str:
    """Return an interpreter with what a service needs and nothing else, installing it on the first call.

    Our own environment has tools for tests. Libraries import some of them when they are there, which takes
    time and memory that no service has to spend.
    """
    folder = ENVIRONMENTS / "pysoa-2"
    python = folder / "bin" / "python"
    done = folder / "complete"
    wanted = [str(PACKAGES / name) for name in ("common", "client", "server", "transport-redis")]
    inputs = sys.version + "".join(Path(name, "pyproject.toml").read_text() for name in wanted)
    if not done.exists() or done.read_text() != inputs:
        venv.create(folder, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *(word for name in wanted for word in ("-e", name)), "hiredis"], check=True)
        done.write_text(inputs)
    sources = [*(f"{name}/src" for name in wanted), str(HERE / "bench_service")]
    # As pip does when it installs wheels. A process that compiles what it imports keeps much of that memory.
    subprocess.run([str(python), "-m", "compileall", "-q", *sources], check=True)
    return str(python)


def original() -> str:
    """Return an interpreter with PySOA 1.4.9, installing it on the first call.

    The oldest interpreter at hand is taken, down to 3.9: there msgpack 0.6.2 still builds its C extension,
    which 1.4.9 would otherwise have to do without. ``BENCH_ORIGINAL_PYTHON`` names another one.
    """
    folder = ENVIRONMENTS / "pysoa-1.4.9"
    python = folder / "bin" / "python"
    done = folder / "complete"
    if done.exists():
        return str(python)
    candidates = (os.environ.get("BENCH_ORIGINAL_PYTHON", ""), "python3.9", "python3.10")
    base = next((found for name in candidates if (found := _working(name))), None)
    if base:
        subprocess.run([base, "-m", "venv", "--clear", str(folder)], check=True)
    else:
        venv.create(folder, clear=True, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "pip<24", "wheel", "setuptools<60"], check=True)
    # Without build isolation the old sdist is built by the old setuptools that it was made for.
    subprocess.run(
        [*install, "--no-build-isolation", "msgpack==0.6.2", "pysoa==1.4.9", "hiredis<2"], check=True
    )
    done.touch()
    return str(python)


def describe(python: str) -> dict[str, str]:
    """Return the versions that matter in an interpreter's environment."""
    result: dict[str, str] = json.loads(
        subprocess.check_output([python, "-W", "ignore", "-c", _DESCRIBE], text=True)
    )
    return result


def _working(name: str) -> str | None:
    """Return the path of an interpreter, if one of that name exists and runs."""
    path = shutil.which(name)
    if path and subprocess.run([path, "-c", "pass"], capture_output=True, check=False).returncode == 0:
        return path
    return None

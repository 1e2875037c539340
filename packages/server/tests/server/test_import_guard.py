"""The double-import guard, in real interpreters."""

from __future__ import annotations

import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

_STANDALONE = """\
from pysoa.server.standalone import is_double_import, simple_main

def main():
    print("double import:", is_double_import(), flush=True)
    simple_main(lambda: 1 / 0)

if __name__ == "__main__":
    main()
"""
_TRAP = "ERROR: You have triggered a double-import trap"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    package = tmp_path / "guarded"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "standalone.py").write_text(_STANDALONE)
    for name in ("bin", "Scripts"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "guarded").write_text(
            f"import sys\nsys.path.append({str(tmp_path)!r})\nfrom guarded.standalone import main\nmain()\n"
        )
    return tmp_path


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_starting_the_file_of_a_module_ends_with_code_99(folder: Path) -> None:
    result = _run(folder, "guarded/standalone.py")

    assert result.returncode == 99
    assert _TRAP in result.stdout


def test_importing_the_standalone_module_from_any_program_is_harmless(folder: Path) -> None:
    (folder / "tool.py").write_text("import guarded.standalone\nprint('imported')\n")

    result = _run(folder, "tool.py")

    assert result.returncode == 0
    assert result.stdout == "imported\n"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-m", "guarded.standalone"], id="module"),
        pytest.param(["-u", "-X", "dev", "-m", "guarded.standalone"], id="module-with-interpreter-options"),
        pytest.param(["bin/guarded"], id="script"),
        pytest.param(["-P", "bin/guarded"], id="script-with-safe-path"),
        pytest.param(["-I", "bin/guarded"], id="script-in-isolated-mode"),
        pytest.param(["Scripts/guarded"], id="windows-script-folder"),
        pytest.param(["-c", "import guarded.standalone; guarded.standalone.main()"], id="command"),
        pytest.param(["guarded.pyz"], id="zip-application"),
    ],
)
def test_every_other_start_is_accepted(folder: Path, arguments: list[str]) -> None:
    source = folder / "zipped"
    source.mkdir()
    (source / "inner.py").write_text(_STANDALONE)
    zipapp.create_archive(source, folder / "guarded.pyz", main="inner:main")

    result = _run(folder, *arguments)

    assert "double import: False" in result.stdout
    assert result.returncode != 99
    assert "ZeroDivisionError" in result.stderr

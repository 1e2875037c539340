"""The five distributions as users get them: built, and installed into empty environments."""

from __future__ import annotations

import concurrent.futures
import email.message
import email.parser
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Callable
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).parents[2]
NAMES = ["client", "common", "server", "testing", "transport-redis"]
NAMESPACES = ["pysoa", "pysoa/common", "pysoa/common/transport"]
TYPED = {
    "common": ["pysoa", "pysoa/common", "pysoa/common/transport", "pysoa/common/serializer"],
    "client": ["pysoa/client"],
    "server": ["pysoa/server", "pysoa/common/transport/local"],
    "transport-redis": ["pysoa/common/transport/redis_gateway"],
    "testing": ["pysoa/test"],
}
# The plugin pysoa.test.plugins.pytest.plans is not among them: pytest loads it wherever pysoa-testing is.
NEEDS_EXTRAS = ["pysoa.server.django", "pysoa.test.factories", "pysoa.test.plan"]
EVERYTHING = [
    "pysoa-client[redis]",
    "pysoa-server[django,redis,reload]",
    "pysoa-testing[factories,plans,redis]",
]
COMPLETE = [
    "pysoa.client",
    "pysoa.server",
    "pysoa.test",
    "pysoa.common.compatibility",
    "pysoa.common.constants",
    "pysoa.common.errors",
    "pysoa.common.interfaces",
    "pysoa.common.logging",
    "pysoa.common.serializer",
    "pysoa.common.settings",
    "pysoa.common.transport.base",
    "pysoa.common.transport.errors",
    "pysoa.common.transport.local",
    "pysoa.common.transport.redis_gateway",
    "pysoa.common.types",
    "pysoa.utils",
    "pysoa.version",
]
"""What ``pyright --verifytypes`` finds complete, all modules below included."""

UNKNOWN_BASES = {
    # Django has no annotations: of BaseCache, LocMemCache, PyMemcacheCache and PyLibMCCache nothing is known.
    "pysoa.server.django._memcached.PySOAMemcachedCache",
    "pysoa.server.django._memcached.PySOAPyLibMCCache",
    "pysoa.server.django.cache.PySOAMemcachedCache",
    "pysoa.server.django.cache.PySOAProcessScopedMemoryCache",
    "pysoa.server.django.cache.PySOAPyLibMCCache",
    "pysoa.server.django.cache.PySOARequestScopedMemoryCache",
    # typeshed derives the mocks of the standard library from Any, so that they may stand for everything.
    "pysoa.test._stub_object.StubbedAction",
    "pysoa.test.stub_service.ActionStubber",
    "pysoa.test.stub_service.ActionStubber.__call__",
    "pysoa.test.stub_service.StubbedAction",
    "pysoa.test.stub_service.stub_action",
    "pysoa.test.stub_service.stub_action.__enter__",
    "pysoa.test.stub_service.stub_action.start",
}
"""Our only incomplete symbols: classes with untyped bases of other libraries, and what returns them."""

_TIMEOUT_S = 300


class Distribution(NamedTuple):
    """One of the five, built."""

    folder: pathlib.Path
    """Its folder below ``packages``."""

    wheel: pathlib.Path
    sdist: pathlib.Path

    @property
    def name(self) -> str:
        """Its name in an index."""
        return f"pysoa-{self.folder.name}"

    @property
    def version(self) -> str:
        """The version that its ``pyproject.toml`` states."""
        with (self.folder / "pyproject.toml").open("rb") as file:
            version: str = tomllib.load(file)["project"]["version"]
        return version

    def files(self) -> set[str]:
        """Return the paths in the wheel."""
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    def modules(self) -> list[str]:
        """Return the dotted paths of the modules in the wheel."""
        return sorted(
            path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            for path in self.files()
            if path.endswith(".py")
        )

    def metadata(self) -> email.message.Message:
        """Return the wheel's metadata."""
        with zipfile.ZipFile(self.wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            return email.parser.Parser().parsestr(archive.read(name).decode())


class Environment(NamedTuple):
    """A virtual environment with some of the five."""

    python: pathlib.Path

    def run(self, *arguments: str, cwd: pathlib.Path | None = None) -> str:
        """Run its interpreter, far from the sources, and return what it prints."""
        return run(str(self.python), *arguments, cwd=cwd or self.python.parent)

    def pip(self, *arguments: str) -> str:
        """Run pip on it; it has none of its own."""
        return run(sys.executable, "-m", "pip", "--python", str(self.python), *arguments)


class TypeReport(NamedTuple):
    """What ``pyright --verifytypes`` tells of a package or module."""

    exported: int
    """How many symbols it exports."""

    incomplete: set[str]
    """The symbols of ours, exported or not, of which it does not know everything."""

    foreign: set[str]
    """Those of other libraries."""


MakeEnvironment = Callable[..., Environment]


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Distribution]:
    """The five, by the names of their folders. Each wheel is built from its sdist, so that is complete."""
    folders = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
    target = tmp_path_factory.mktemp("dist")
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as executor:
        built = list(executor.map(_build, folders, itertools.repeat(target)))
    return {distribution.folder.name: distribution for distribution in built}


@pytest.fixture(scope="session")
def make_environment(
    tmp_path_factory: pytest.TempPathFactory, distributions: dict[str, Distribution]
) -> MakeEnvironment:
    """Make an environment from requirements; those on the five are met by the wheels just built."""
    constraints = tmp_path_factory.mktemp("constraints") / "constraints.txt"
    constraints.write_text("".join(f"{d.name} @ {d.wheel.as_uri()}\n" for d in distributions.values()))
    made: dict[tuple[str, ...], Environment] = {}

    def make(*requirements: str) -> Environment:
        if requirements not in made:
            folder = tmp_path_factory.mktemp("environment")
            venv.create(folder, symlinks=True)
            environment = Environment(folder / "bin" / "python")
            environment.pip("install", "--quiet", "--constraint", str(constraints), *requirements)
            made[requirements] = environment
        return made[requirements]

    return make


@pytest.fixture(params=NAMES)
def distribution(request: pytest.FixtureRequest, distributions: dict[str, Distribution]) -> Distribution:
    """Each of the five in turn."""
    return distributions[request.param]


def test_there_are_five(distributions: dict[str, Distribution]) -> None:
    assert sorted(distributions) == NAMES


def test_an_index_accepts_wheel_and_sdist(distribution: Distribution) -> None:
    output = run(
        *(sys.executable, "-m", "twine", "check", "--strict"),
        str(distribution.wheel),
        str(distribution.sdist),
    )

    assert output.count("PASSED") == 2


def test_the_page_in_an_index_has_no_link_that_leads_nowhere(distribution: Distribution) -> None:
    page = distribution.metadata().get_payload()
    assert isinstance(page, str)

    # An index shows the README alone: it knows neither files beside it, nor headings to jump to.
    targets = re.findall(r"\]\(\s*([^)\s]+)", page) + re.findall(r"(?:href|src)=.([^\"'\s>]+)", page)

    assert page.startswith(f"# {distribution.name}\n")
    assert [target for target in targets if not target.startswith("https://")] == []


def test_a_wheel_holds_exactly_the_files_of_its_source_folder(distribution: Distribution) -> None:
    source = distribution.folder / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    held = {path for path in distribution.files() if ".dist-info/" not in path}

    assert held == expected


def test_no_file_belongs_to_two_distributions(distributions: dict[str, Distribution]) -> None:
    for one, other in itertools.combinations(distributions.values(), 2):
        assert not one.files() & other.files(), (one.name, other.name)


def test_namespaces_have_no_init_file(distribution: Distribution) -> None:
    assert not {f"{namespace}/__init__.py" for namespace in NAMESPACES} & distribution.files()


def test_markers_of_types_are_where_both_checkers_look(distribution: Distribution) -> None:
    markers = {path for path in distribution.files() if path.endswith("py.typed")}

    assert markers == {f"{folder}/py.typed" for folder in TYPED[distribution.folder.name]}


def test_wheel_and_metadata_carry_version_and_licence(distribution: Distribution) -> None:
    metadata = distribution.metadata()

    assert metadata["Name"] == distribution.name
    assert metadata["Version"] == distribution.version
    assert metadata["License-Expression"] == "Apache-2.0"
    assert any(path.endswith(".dist-info/licenses/LICENSE") for path in distribution.files())


def test_the_changelog_names_the_version_or_what_is_unreleased(distribution: Distribution) -> None:
    text = (distribution.folder / "CHANGELOG.md").read_text()
    first_heading = next(line for line in text.splitlines() if line.startswith("## "))

    assert first_heading == "## Unreleased" or distribution.version in first_heading


def test_siblings_are_required_by_a_range_that_holds_their_version(
    distribution: Distribution, distributions: dict[str, Distribution]
) -> None:
    versions = {d.name: d.version for d in distributions.values()}
    siblings = [r for r in requirements(distribution) if r.name in versions]

    for requirement in siblings:
        major = int(versions[requirement.name].split(".")[0])
        assert requirement.specifier.contains(versions[requirement.name]), requirement
        assert not requirement.specifier.contains(f"{major + 1}.0.0"), requirement
        assert not requirement.specifier.contains(f"{major - 1}.99.0"), requirement


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        pytest.param("common", set[str](), id="common"),
        pytest.param("client", {"pysoa-common"}, id="client"),
        pytest.param("server", {"pysoa-common", "pysoa-client"}, id="server"),
        pytest.param("transport-redis", {"pysoa-common"}, id="transport-redis"),
        pytest.param("testing", {"pysoa-common", "pysoa-client", "pysoa-server"}, id="testing"),
    ],
)
def test_a_distribution_requires_only_the_siblings_below_it(
    distributions: dict[str, Distribution], name: str, allowed: set[str]
) -> None:
    always = {r.name for r in requirements(distributions[name]) if r.marker is None}

    assert {required for required in always if required.startswith("pysoa-")} == allowed


def test_each_distribution_works_alone_in_an_empty_environment(
    distribution: Distribution, make_environment: MakeEnvironment
) -> None:
    environment = make_environment(distribution.name)
    claimed = [
        m for m in distribution.modules() if not any(f"{m}.".startswith(f"{n}.") for n in NEEDS_EXTRAS)
    ]

    output = environment.run("-W", "error", "-c", IMPORT_ALL, *claimed)

    assert output.split() == claimed
    assert "No broken requirements" in environment.pip("check")


def test_all_five_work_together_with_all_extras(
    distributions: dict[str, Distribution], make_environment: MakeEnvironment
) -> None:
    environment = make_environment(*EVERYTHING)
    claimed = sorted(itertools.chain.from_iterable(d.modules() for d in distributions.values()))

    output = environment.run("-W", "error", "-c", IMPORT_ALL, *claimed)

    assert output.split() == claimed
    assert "No broken requirements" in environment.pip("check")


def test_uninstalling_one_leaves_the_others_whole(
    distributions: dict[str, Distribution], make_environment: MakeEnvironment
) -> None:
    environment = make_environment("pysoa-server[redis]", "pysoa-testing")
    environment.pip("uninstall", "--quiet", "--yes", "pysoa-transport-redis", "pysoa-testing")

    rest = [m for name in ("common", "client", "server") for m in distributions[name].modules()]
    claimed = [module for module in rest if not needs_extra(module)]

    assert environment.run("-c", IMPORT_ALL, *claimed).split() == claimed


def test_a_client_alone_imports_neither_redis_nor_the_server(make_environment: MakeEnvironment) -> None:
    output = make_environment("pysoa-client").run(
        "-c",
        "import sys, pysoa.client.client\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('redis', 'pytest', 'django')"
        " or m.startswith(('pysoa.server', 'pysoa.common.transport.redis_gateway'))])",
    )

    assert output.strip() == "[]"


def test_a_client_alone_says_which_package_carries_redis(make_environment: MakeEnvironment) -> None:
    output = make_environment("pysoa-client").run("-c", CALL_OVER_REDIS)

    assert output.startswith("ImproperlyConfigured:")
    assert "pysoa-transport-redis" in output


def test_a_server_alone_serves_over_the_local_transport(make_environment: MakeEnvironment) -> None:
    readme = (ROOT / "README.md").read_text()
    code = readme.partition("```python\n")[2].partition("```")[0]

    assert make_environment("pysoa-server").run("-c", code) == "{'square': 49}\n"


@pytest.mark.parametrize(
    ("folder", "requirements"),
    [
        pytest.param("tests/typing/client_only", ["pysoa-client"], id="with pysoa-client alone"),
        pytest.param("tests/typing/everything", EVERYTHING, id="with everything"),
    ],
)
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_code_of_users_is_type_checked_strictly_against_the_wheels(
    checker: str,
    folder: str,
    requirements: list[str],
    make_environment: MakeEnvironment,
    tmp_path: pathlib.Path,
) -> None:
    python = str(make_environment(*requirements).python)
    # Copied, so that the checkers find neither our configuration nor our sources.
    code = shutil.copytree(ROOT / folder, tmp_path / "code")
    options = {
        "mypy": ["--strict", "--python-executable", python, "--cache-dir", str(tmp_path / "cache")],
        "pyright": ["--pythonpath", python, "--project", str(tmp_path / "pyrightconfig.json")],
    }
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')

    output = run(sys.executable, "-m", checker, *options[checker], str(code), cwd=tmp_path)

    assert "Success" in output or "0 errors" in output


@pytest.mark.parametrize("name", COMPLETE)
def test_everything_that_a_package_exports_has_known_types(
    name: str, make_environment: MakeEnvironment, tmp_path: pathlib.Path
) -> None:
    report = verify_types(name, "--ignoreexternal", environment=make_environment(*EVERYTHING), cwd=tmp_path)

    assert report.exported > 0
    assert report.incomplete == {symbol for symbol in UNKNOWN_BASES if symbol.startswith(f"{name}.")}


@pytest.mark.parametrize(
    ("name", "libraries"),
    [
        pytest.param("pysoa.client", {"conformity", "pymetrics"}, id="client"),
        pytest.param("pysoa.server", {"conformity", "pymetrics"}, id="server"),
        pytest.param(
            "pysoa.common.transport.redis_gateway", {"conformity", "pymetrics", "redis"}, id="transport-redis"
        ),
        pytest.param(
            "pysoa.test",
            {"conformity", "pymetrics", "factory", "pyparsing", "_pytest", "pluggy", "unittest"},
            id="testing",
        ),
    ],
)
def test_only_known_libraries_leave_types_of_ours_unknown(
    name: str, libraries: set[str], make_environment: MakeEnvironment, tmp_path: pathlib.Path
) -> None:
    report = verify_types(name, environment=make_environment(*EVERYTHING), cwd=tmp_path)

    assert {symbol.split(".")[0] for symbol in report.foreign} == libraries


IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    print(name)
"""

CALL_OVER_REDIS = """
from pysoa.client.client import Client
try:
    client = Client({"square": {"transport": {"kwargs": {"backend_type": "redis.standard"}}}})
    client.call_action("square", "square")
except Client.ImproperlyConfigured as error:
    print(f"{type(error).__name__}: {error}")
"""


def requirements(distribution: Distribution) -> list[Requirement]:
    """Return what a distribution requires, with and without extras."""
    return [Requirement(text) for text in distribution.metadata().get_all("Requires-Dist", [])]


def needs_extra(module: str) -> bool:
    """Tell whether a module cannot be imported with the bare distribution."""
    return any(f"{module}.".startswith(f"{name}.") for name in NEEDS_EXTRAS)


def verify_types(name: str, *options: str, environment: Environment, cwd: pathlib.Path) -> TypeReport:
    """Let pyright look at everything that a package or module exports, or that it refers to.

    With ``--ignoreexternal`` it takes for known what comes from other libraries, but for base classes.
    """
    # In this mode pyright goes by PATH and ignores --pythonpath. It exits with 1 if anything is incomplete.
    result = subprocess.run(
        [sys.executable, "-m", "pyright", "--verifytypes", name, "--outputjson", *options],
        cwd=cwd,
        env={**os.environ, "PATH": f"{environment.python.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    symbols = json.loads(result.stdout)["typeCompleteness"]["symbols"]
    incomplete = {symbol["name"] for symbol in symbols if not symbol["isTypeKnown"]}
    ours = {symbol for symbol in incomplete if symbol.startswith("pysoa.")}
    return TypeReport(sum(symbol["isExported"] for symbol in symbols), ours, incomplete - ours)


def run(*command: str, cwd: pathlib.Path = ROOT, **environment: str) -> str:
    """Run a command; if it fails, so does the test, with everything it printed."""
    result = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if result.returncode:
        pytest.fail(
            f"{command} exited with {result.returncode}:\n{result.stdout}{result.stderr}", pytrace=False
        )
    return result.stdout


def _build(folder: pathlib.Path, target: pathlib.Path) -> Distribution:
    target = target / folder.name
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(folder))
    (wheel,), (sdist,) = target.glob("*.whl"), target.glob("*.tar.gz")
    return Distribution(folder, wheel, sdist)

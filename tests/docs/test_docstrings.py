"""The examples in docstrings, which the API reference shows, run.

Each is written into a test module, after what it leaves to the reader, and before a test that uses it if it
only defines something.
"""

from __future__ import annotations

import ast
import pathlib
import re
import textwrap
from collections.abc import Iterator

import pytest

_PACKAGES = pathlib.Path(__file__).parents[2] / "packages"

_SQUARE = """
from typing import Any

from conformity import fields
from pysoa.client import Client
from pysoa.client.middleware import ClientMiddleware
from pysoa.server import Action, Server

class Square(Action):
    request_schema = fields.Dictionary({"number": fields.Integer()})

    def run(self, request):
        return {"square": request.body["number"] ** 2}

class SquareServer(Server):
    service_name = "square"
    action_class_map = {"square": Square}

def client_of(server_class, **settings):
    kwargs = {"server_class": server_class, "server_settings": settings}
    path = "pysoa.common.transport.local:LocalClientTransport"
    return Client({server_class.service_name: {"transport": {"path": path, "kwargs": kwargs}}})

calls = []

def do_stuff_before():
    calls.append("before")

def do_stuff_after():
    calls.append("after")
"""

_GREET = """
from pysoa.client import Client

def greet(user_id):
    return "Hello " + Client({}).call_action("user", "get_user", {"id": user_id}).body["name"]
"""

_MIDDLEWARE = """
def test_it():
    Middleware = type("Middleware", (ClientMiddleware,), {"%(name)s": %(name)s})
    globals()["Middleware"] = Middleware
    client = client_of(SquareServer)
    client.config["square"]["middleware"] = [{"path": f"{__name__}:Middleware"}]
    client = Client(client.config)

    assert client.call_action("square", "square", {"number": 7}).body == {"square": 49}
    assert calls == ["before", "after"] * %(times)s
"""

_EXAMPLES = {
    "pysoa.client.client.Client": (
        """
        from pysoa.client import Client as RealClient
        from pysoa.test.stub_service import StubClient

        def Client(settings):
            assert list(settings) == ["library"]
            return StubClient({"library": {"find_book": {"body": {"title": "Emma"}}}})
        """,
        "",
    ),
    "pysoa.client.middleware.ClientMiddleware.request": (
        _SQUARE,
        _MIDDLEWARE % {"name": "request", "times": 1},
    ),
    "pysoa.client.middleware.ClientMiddleware.response": (
        _SQUARE,
        _MIDDLEWARE % {"name": "response", "times": 1},
    ),
    "pysoa.server.action.base.Action": (
        """
        from typing import TypedDict
        from pysoa.server import Action

        class GreetRequest(TypedDict):
            name: str

        class GreetResponse(TypedDict):
            greeting: str
        """,
        """
        def test_it():
            assert issubclass(Greet, Action)
        """,
    ),
    "pysoa.server.action.status.BaseStatusAction": (
        _SQUARE
        + """
from types import SimpleNamespace
from pysoa.server import StatusActionFactory
from pysoa.server.action.status import BaseStatusAction, CheckMethodStatus

__version__ = "1.2.3"
database = SimpleNamespace(is_reachable=lambda: False)
""",
        """
        def test_it():
            class StatusServer(SquareServer):
                action_class_map = {"status": StatusAction}

            body = client_of(StatusServer).call_action("square", "status").body

            assert body["version"] == "1.2.3"
            assert body["healthcheck"]["errors"] == [["DATABASE_FAILURE", "Could not connect"]]
            assert callable(check_client_settings)
        """,
    ),
    "pysoa.server.action.switched.SwitchedAction": (
        _SQUARE
        + """
from pysoa.server import SwitchedAction

USER_VERSION_2_ENABLED = 5

class UserActionV1(Action):
    def run(self, request):
        return {"version": 1}

class UserActionV2(Action):
    def run(self, request):
        return {"version": 2}
""",
        """
        def test_it():
            class UserServer(Server):
                service_name = "user"
                action_class_map = {"transition": UserTransitionAction}

            client = client_of(UserServer)

            assert client.call_action("user", "transition").body == {"version": 1}
            assert client.call_action("user", "transition", switches=[5]).body == {"version": 2}
        """,
    ),
    "pysoa.server.coroutine.CoroutineMiddleware.coroutine": (
        _SQUARE,
        """
        def test_it():
            import asyncio

            async def answer():
                return 42

            assert asyncio.run(coroutine(None, answer())) == 42
            assert calls == ["before", "after"]
        """,
    ),
    "pysoa.server.standalone": (
        "",
        """
        def test_it(monkeypatch):
            import sys
            import types
            import pytest
            from pysoa.server import Server

            module = types.ModuleType("example_service.server")
            module.ExampleServer = type("ExampleServer", (Server,), {"service_name": "example"})
            monkeypatch.setitem(sys.modules, "example_service", types.ModuleType("example_service"))
            monkeypatch.setitem(sys.modules, "example_service.server", module)
            monkeypatch.setattr(sys, "argv", ["/venv/bin/example", "--help"])

            with pytest.raises(SystemExit) as info:
                main()

            assert info.value.code == 0
        """,
    ),
    "pysoa.test.assertions": (
        """
        from pysoa.common.errors import Error
        from pysoa.test.assertions import raises_only_field_errors
        from pysoa.test.stub_service import StubClient

        client = StubClient({"user": {"create": {"errors": [
            Error(code="INVALID", message="This is no address", field="email"),
            Error(code="MISSING", message="There is none", field="email"),
            Error(code="INVALID", message="This is no age", field="age"),
        ]}}})
        """,
        "",
    ),
    "pysoa.test.factories": (
        _SQUARE + "\nfrom pysoa.test.factories import ServerFactory\n",
        """
        def test_it():
            assert isinstance(server, SquareServer)
            assert server.settings["heartbeat_file"] == "/tmp/heartbeat"
        """,
    ),
    "pysoa.test.plan._plan.ServicePlanTestCase": (
        _SQUARE
        + """
import pathlib
from pysoa.test.plan import ServicePlanTestCase

LibraryServer = SquareServer
pathlib.Path(__file__).with_name("fixtures").mkdir(exist_ok=True)
pathlib.Path(__file__).with_name("fixtures").joinpath("square.pysoa").write_text('''
test name: square
test description: Seven times seven
square: input int: number: 7
square: expect int: attribute value: square: 49
''')
""",
        "",
    ),
    "pysoa.test.plan.grammar.directive": (
        """
        import math
        from pyparsing import Keyword
        from pysoa.test.plan.grammar.directive import ActionDirective, VarValueGrammar
        """,
        """
        def test_it():
            assert DeadlineDirective.name() == "deadline"
            DeadlineDirective.get_full_grammar()
        """,
    ),
    "pysoa.test.plugins.pytest.fixtures.action_stubber": (_GREET, ""),
    "pysoa.test.running": (_SQUARE + "\nimport pytest\nfrom pysoa.test.running import ServiceProcess\n", ""),
    "pysoa.test.server": (_SQUARE + "\nfrom pysoa.test.server import ServerTestCase\n", ""),
    "pysoa.test.stub_service.stub_action": (
        _GREET + "\nfrom pysoa.test.stub_service import stub_action\n",
        "",
    ),
}
"""By the names of what they are about: what stands before the example, and what after it."""

_DRAWINGS = ("PySOAError\n", "PySOAError  ", "cls.main\n")
"""How blocks begin that show a tree of classes or of calls."""

_NO_TESTS = """
def test_it():
    pass
"""


def test_every_example_is_known() -> None:
    assert sorted({name for name, _ in examples()}) == sorted(_EXAMPLES)


def test_the_examples_in_docstrings_run(pytester: pytest.Pytester) -> None:
    code = dict[str, str]()
    for name, example in examples():
        code[name] = f"{code.get(name, '')}\n{example}\n"
    modules = {
        f"test_{name.replace('.', '_')}": "\n".join(
            [textwrap.dedent(_EXAMPLES[name][0]), text, textwrap.dedent(_EXAMPLES[name][1] or _NO_TESTS)]
        )
        for name, text in code.items()
    }
    pytester.makepyfile(**modules)

    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")

    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed"}, result.stdout.str()
    assert outcomes["passed"] >= len(modules)


def examples() -> Iterator[tuple[str, str]]:
    """Yield the code in all docstrings, with the name of what it describes."""
    for source in sorted(_PACKAGES.glob("*/src")):
        for file in sorted(source.rglob("*.py")):
            module = ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
            for name, docstring in _docstrings(ast.parse(file.read_text()), module):
                for block in _literal_blocks(docstring):
                    if not block.startswith(_DRAWINGS):
                        yield name, block


def _docstrings(node: ast.Module | ast.ClassDef, name: str) -> Iterator[tuple[str, str]]:
    yield name, ast.get_docstring(node) or ""
    for child in node.body:
        if isinstance(child, ast.ClassDef):
            yield from _docstrings(child, f"{name}.{child.name}")
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{name}.{child.name}", ast.get_docstring(child) or ""


def _literal_blocks(docstring: str) -> Iterator[str]:
    pattern = r"^( *)(?:\S.*)?::\n\n((?:\1 +.*\n?|\n)+)"
    for match in re.finditer(pattern, docstring, flags=re.MULTILINE):
        yield textwrap.dedent(match[2]).strip("\n")

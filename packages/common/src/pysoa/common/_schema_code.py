"""Generates from a Conformity field a function that tells quickly that a value certainly has no errors.

The function asks Conformity wherever it is not sure, and it never says yes where Conformity would raise.
Where it would raise itself, it says no.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import NoneType
from typing import Any, cast

from pysoa.common._schema_conditions import (
    ALWAYS,
    Condition,
    Constants,
    Expression,
    condition_for_types,
)
from pysoa.common._schema_fields import SchemaFields, collection_types

__all__ = ("generate_check",)

_MAXIMUM_DEPTH = 8  # Of inlined blocks; Python allows twenty.
_STRINGS = frozenset({str})


def generate_check(field: Any) -> Callable[[object], bool]:
    """Return a function that is true only for values in which the field finds no errors.

    Args:
        field: A Conformity field. Later changes of it are not seen.
    """
    return _Generator(field).build()


def has_sortable_keys(value: object) -> bool:
    """Tell whether Conformity, which sorts superfluous keys to name them, can do so with this value's."""
    if type(value) is dict:
        return _STRINGS.issuperset(map(type, cast("dict[object, object]", value)))
    return not isinstance(value, dict)


class _Generator:
    """Writes one function for the whole schema, and others for what is used repeatedly or nested deeply.

    The methods named after fields write statements that return ``False`` for what is not certainly accepted,
    and do nothing otherwise.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._constants = Constants()
        self._fields = SchemaFields(root, self._constants)
        self._sortable = self._constants.name(has_sortable_keys)
        self._lines: list[str] = []
        self._depth = 1
        self._variables = 0
        self._functions: dict[int, str] = {}
        self._unwritten: list[Any] = []
        self._switches: list[tuple[dict[object, object], dict[object, str]]] = []

    def build(self) -> Callable[[object], bool]:
        """Generate and compile the functions."""
        self._lines.append("def check(x):")
        with self._block("try:"):
            self._write_here(self._root, "x")
        with self._block("except Exception:"):
            self._line("return False")
        self._line("return True")
        while self._unwritten:
            field = self._unwritten.pop()
            self._lines.append(f"def {self._functions[id(field)]}(x):")
            self._write_here(field, "x")
            self._line("return True")
        namespace = self._constants.namespace
        exec(compile("\n".join(self._lines), "<generated from a schema>", "exec"), namespace)
        for functions, names in self._switches:
            functions.update((value, namespace[name]) for value, name in names.items())
        return cast("Callable[[object], bool]", namespace["check"])

    # Expressions.

    def _errors_of(self, field: Any) -> str:
        return self._constants.name(field.errors)

    def _condition(self, field: Any) -> Condition | None:
        known = self._fields.known_class(field)
        if known == "Nullable":
            return self._nullable_condition(field.field)
        if known == "Any":
            return self._any_condition(field.options)
        if self._fields.is_composite(field):
            function = self._function_for(field)
            return Condition(lambda x: f"{function}({x})", never_raises=self._fields.never_raises(field))
        return self._fields.leaf_condition(field)

    def _nullable_condition(self, inner: Any) -> Condition:
        condition = self._condition(inner)
        if condition is None:
            return Condition(lambda x: f"{x} is None", never_raises=False)
        if condition.types is not None:
            return condition_for_types({*condition.types, NoneType}, self._constants)
        return Condition(lambda x: f"{x} is None or {condition.on(x)}", never_raises=condition.never_raises)

    def _any_condition(self, options: Sequence[Any]) -> Condition:
        conditions = [self._condition(option) for option in options]
        types: set[type] = set()
        for condition in conditions:
            if condition is None or condition.types is None:
                break
            types |= condition.types
        else:
            return condition_for_types(types, self._constants) if options else ALWAYS
        tests: list[Expression] = []
        for option, condition in zip(reversed(options), reversed(conditions), strict=True):
            tests.append(self._either(option, condition, tests[-1] if tests else None))
        return Condition(tests[-1], never_raises=all(map(self._fields.never_raises, options)))

    def _either(self, option: Any, condition: Condition | None, others: Expression | None) -> Expression:
        """Return the test that this option or one of the others is sure.

        The others count only if Conformity gets there: it does not if it raises in this option.
        """
        if condition is None:
            errors = self._errors_of(option)
            return lambda x: f"not {errors}({x}){f' or {others(x)}' if others else ''}"
        if others is None:
            return condition.on
        if condition.never_raises:
            return lambda x: f"{condition.on(x)} or {others(x)}"
        if self._fields.raises_only_for_odd_keys(option):
            return lambda x: f"{condition.on(x)} or {self._sortable}({x}) and ({others(x)})"
        errors = self._errors_of(option)
        return lambda x: f"{condition.on(x)} or not {errors}({x}) or {others(x)}"

    def _function_for(self, field: Any) -> str:
        if id(field) not in self._functions:
            self._functions[id(field)] = f"f{len(self._functions)}"
            self._unwritten.append(field)
        return self._functions[id(field)]

    # Statements.

    def _line(self, source: str) -> None:
        self._lines.append("    " * self._depth + source)

    @contextmanager
    def _block(self, head: str) -> Generator[None]:
        self._line(head)
        self._depth += 1
        length = len(self._lines)
        yield
        if len(self._lines) == length:
            self._line("pass")
        self._depth -= 1

    def _refuse_if(self, *tests: str) -> None:
        with self._block(f"if {' or '.join(tests)}:"):
            self._line("return False")

    def _new_variable(self) -> str:
        self._variables += 1
        return f"v{self._variables}"

    def _write(self, field: Any, x: str) -> None:
        if self._fields.is_composite(field) and (
            self._fields.is_used_repeatedly(field) or self._depth > _MAXIMUM_DEPTH
        ):
            self._refuse_if(f"not {self._function_for(field)}({x})")
        else:
            self._write_here(field, x)

    def _write_here(self, field: Any, x: str) -> None:
        if self._fields.is_composite(field):
            _STATEMENTS[cast("str", self._fields.known_class(field))](self, field, x)
            return
        if self._fields.known_class(field) == "Nullable" and self._fields.is_composite(field.field):
            with self._block(f"if {x} is not None:"):
                self._write(field.field, x)
            return
        condition = self._condition(field)
        if condition is None:
            self._refuse_if(f"{self._errors_of(field)}({x})")
        elif condition is not ALWAYS:
            self._refuse_if(f"not ({condition.on(x)}) and {self._errors_of(field)}({x})")

    def _write_elements(self, field: Any, elements: str) -> None:
        condition = None if self._fields.is_composite(field) else self._condition(field)
        if condition is not None and condition.types is not None:
            are_valid = self._constants.name(condition.types.issuperset)
            errors = self._errors_of(field)
            self._refuse_if(f"not {are_valid}(map(type, {elements})) and any(map({errors}, {elements}))")
        elif condition is not ALWAYS:
            variable = self._new_variable()
            with self._block(f"for {variable} in {elements}:"):
                self._write(field, variable)

    def _write_additional_validator(self, field: Any, x: str) -> None:
        if field.additional_validator is not None:
            self._refuse_if(f"{self._constants.name(field.additional_validator.errors)}({x})")

    def all(self, field: Any, x: str) -> None:
        for requirement in field.requirements:
            self._write(requirement, x)

    def dictionary(self, field: Any, x: str) -> None:
        required = [(key, inner) for key, inner in field.contents.items() if key not in field.optional_keys]
        optional = [(key, inner) for key, inner in field.contents.items() if key in field.optional_keys]
        has_known_length = self._fields.is_strict_dictionary(field) and not optional
        self._refuse_if(
            f"type({x}) is not dict", *([f"len({x}) != {len(required)}"] if has_known_length else [])
        )
        self._write_required_keys(required, x)
        self._write_optional_keys(
            optional, len(required), x, self._fields.is_strict_dictionary(field) and bool(optional)
        )
        self._write_additional_validator(field, x)

    def _write_required_keys(self, contents: list[tuple[object, Any]], x: str) -> None:
        if not contents:
            return
        variables = [self._new_variable() for _ in contents]
        with self._block("try:"):
            for (key, _), variable in zip(contents, variables, strict=True):
                self._line(f"{variable} = {x}[{self._constants.literal(key)}]")
        with self._block("except KeyError:"):
            self._line("return False")
        for (_, inner), variable in zip(contents, variables, strict=True):
            self._write(inner, variable)

    def _write_optional_keys(
        self, contents: list[tuple[object, Any]], present: int, x: str, count: bool
    ) -> None:
        extra = self._new_variable()
        if count:
            self._line(f"{extra} = len({x}) - {present}")
        for key, inner in contents:
            key_source = self._constants.literal(key)
            with self._block(f"if {key_source} in {x}:"):
                if count:
                    self._line(f"{extra} -= 1")
                variable = self._new_variable()
                self._line(f"{variable} = {x}[{key_source}]")
                self._write(inner, variable)
        if count:
            self._refuse_if(extra)

    def schemaless_dictionary(self, field: Any, x: str) -> None:
        self._refuse_if(f"type({x}) is not dict", *_length_tests(field, x))
        if self._fields.known_class(field.key_type) != "Hashable":  # The keys of a dictionary always are.
            self._write_elements(field.key_type, x)
        self._write_elements(field.value_type, f"{x}.values()")
        self._write_additional_validator(field, x)

    def collection(self, field: Any, x: str) -> None:
        condition = condition_for_types(collection_types(field), self._constants)
        self._refuse_if(f"not ({condition.on(x)})", *_length_tests(field, x))
        self._write_elements(field.contents, x)
        self._write_additional_validator(field, x)

    def tuple(self, field: Any, x: str) -> None:
        self._refuse_if(f"type({x}) is not tuple", f"len({x}) != {len(field.contents)}")
        for index, inner in enumerate(field.contents):
            variable = self._new_variable()
            self._line(f"{variable} = {x}[{index}]")
            self._write(inner, variable)
        self._write_additional_validator(field, x)

    def polymorph(self, field: Any, x: str) -> None:
        functions: dict[object, object] = {}
        names = {value: self._function_for(inner) for value, inner in field.contents_map.items()}
        self._switches.append((functions, names))
        variable = self._new_variable()
        path = "".join(f"[{self._constants.literal(key)}]" for key in field.switch_field.split("."))
        default = names.get("__default__")
        self._refuse_if(f"type({x}) is not dict")
        self._line(f"{variable} = {self._constants.name(functions)}.get({x}{path}, {default})")
        self._refuse_if(f"{variable} is None", f"not {variable}({x})")


def _length_tests(field: Any, x: str) -> list[str]:
    tests = [] if field.min_length is None else [f"len({x}) < {field.min_length}"]
    return tests if field.max_length is None else [*tests, f"len({x}) > {field.max_length}"]


_STATEMENTS: dict[str, Callable[[_Generator, Any, str], None]] = {
    "All": _Generator.all,
    "Dictionary": _Generator.dictionary,
    "Polymorph": _Generator.polymorph,
    "SchemalessDictionary": _Generator.schemaless_dictionary,
    "Tuple": _Generator.tuple,
    "_BaseSequenceOrSet": _Generator.collection,
}

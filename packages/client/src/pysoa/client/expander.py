"""Which objects in a response can be expanded into which others, and what a call asks for.

A client that has an expansion configuration takes ``expansions={"track": ["artist.label"]}`` in its
``call_***`` methods: it looks for objects of the type ``track`` in the response, calls the action that
fetches artists with the ids that the tracks hold, and puts each artist into its track, then likewise labels
into artists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Dict, List, TypeAlias, Union, cast  # noqa: UP035 - the published aliases use them

from conformity import fields
from conformity.settings import Settings, SettingsData, SettingsSchema

from pysoa.common._conformity import dictionary
from pysoa.common._plain import is_dict, is_list

__all__ = (
    "ExpansionConverter",
    "ExpansionNode",
    "ExpansionSettings",
    "Expansions",
    "TypeExpansions",
    "TypeNode",
    "TypeRoutes",
)

Expansions: TypeAlias = Dict[str, List[str]]  # noqa: UP006
"""What a call asks for: type name to paths, which are names of expansions joined with dots."""
TypeRoutes: TypeAlias = Dict[str, Dict[str, str]]  # noqa: UP006
"""The setting ``type_routes`` of :class:`ExpansionSettings`."""
TypeExpansions: TypeAlias = Dict[str, Dict[str, Dict[str, Union[str, bool, None]]]]  # noqa: UP006, UP007
"""The setting ``type_expansions`` of :class:`ExpansionSettings`."""

_TYPE_FIELD = "_type"

# The parameters of these classes are made by attrs in a way that type checkers cannot follow.
_boolean: Any = fields.Boolean
_map: Any = fields.SchemalessDictionary
_nullable: Any = fields.Nullable
_text: Any = fields.UnicodeString


class ExpansionSettings(Settings):
    """Which expansions a client can perform: what refers to what, and which actions resolve it."""

    schema: SettingsSchema = {
        "type_routes": _map(
            key_type=_text(
                description="The name of the expansion route, to be referenced from the `type_expansions` "
                "configuration",
            ),
            value_type=dictionary(
                {
                    "service": _text(
                        description="The name of the service to call to resolve this route",
                    ),
                    "action": _text(
                        description="The name of the action to call to resolve this route, which must accept "
                        "a single request field of type `List`, to which all the identifiers for matching "
                        "candidate expansions will be passed, and which must return a single response field "
                        "of type `Dictionary`, from which all expansion objects will be obtained",
                    ),
                    "request_field": _text(
                        description="The name of the `List` identifier field to place in the `ActionRequest` "
                        "body when making the request to the named service and action",
                    ),
                    "response_field": _text(
                        description="The name of the `Dictionary` field returned in the `ActionResponse`, "
                        "from which the expanded objects will be extracted",
                    ),
                },
                description="The instructions for resolving this type route",
            ),
            description="The definition of all recognized types that can be expanded into and information "
            "about how to resolve objects of those types through action calls",
        ),
        "type_expansions": _map(
            key_type=_text(
                description="The name of the type for which the herein defined expansions can be sought, "
                "which will be matched with a key from the `expansions` dict passed to one of `Client`'s "
                "`call_***` methods, and which must also match the value of a `_type` field found on "
                "response objects on which extra data will be expanded",
            ),
            value_type=_map(
                key_type=_text(
                    description="The name of an expansion, which will be matched with a value from the "
                    "`expansions` dict passed to one of `Client`'s `call_***` methods corresponding to the "
                    "type key in that dict",
                ),
                value_type=dictionary(
                    {
                        "type": _nullable(
                            _text(
                                description="The type of object this expansion yields, which must map back "
                                "to a `type_expansions` key in order to support nested/recursive expansions, "
                                "and may be `None` if you do not wish to support nested/recursive expansions "
                                "for this expansion",
                            ),
                        ),
                        "route": _text(
                            description="The route to use to resolve this expansion, which must match a key "
                            "in the `type_routes` configuration",
                        ),
                        "source_field": _text(
                            description="The name of the field in the base object that contains the "
                            "identifier used for obtaining the expansion object (the identifier will be "
                            "passed to the `request_field` in the route when resolving the expansion)",
                        ),
                        "destination_field": _text(
                            description="The name of a not-already-existent field in the base object into "
                            "which the expansion object will be placed after it is obtained from the route",
                        ),
                        "raise_action_errors": _boolean(
                            description="Whether to raise action errors encountered when expanding objects "
                            "these objects (by default, action errors are suppressed, which differs from the "
                            "behavior of the `Client` to raise action errors during normal requests)",
                        ),
                    },
                    optional_keys=("raise_action_errors",),
                    description="The definition of one specific possible expansion for this object type",
                ),
                description="The definition of all possible expansions for this object type",
            ),
            description="The definition of all types that may contain identifiers that can be expanded into "
            "objects using the `type_routes` configurations",
        ),
    }

    defaults: SettingsData = {}


class TypeNode:
    """Objects of one type, and what to expand in them: the root of an expansion tree.

    Args:
        node_type: The value of the field ``_type`` of the objects; ``None`` matches none.
    """

    def __init__(self, node_type: str | None) -> None:
        self.type = node_type
        self._expansions: dict[str, ExpansionNode] = {}

    @property
    def expansions(self) -> list[ExpansionNode]:
        """What to expand in each object, in the order of being added."""
        return list(self._expansions.values())

    def add_expansion(self, expansion_node: ExpansionNode) -> None:
        """Add a child; if there is one of this name, add the children of the given one to it instead."""
        existing = self.get_expansion(expansion_node.name)
        if existing is None:
            self._expansions[expansion_node.name] = expansion_node
            return
        for child in expansion_node.expansions:
            existing.add_expansion(child)

    def get_expansion(self, expansion_name: str) -> ExpansionNode | None:
        """Return the child of this name, or ``None``."""
        return self._expansions.get(expansion_name)

    def find_objects(self, obj: object) -> list[dict[str, Any]]:
        """Return the objects of this type in a value, found depth first in dictionaries and lists.

        An object that is found is not searched any further; the value itself may be it.
        """
        found: list[dict[str, Any]] = []
        # A list of what is still to be looked at, not recursion: a body may be nested deeper than Python's
        # stack. Containers are entered once, as those of an in-process service may hold each other.
        to_visit: list[Any] = [obj]
        entered: set[int] = set()
        while to_visit:
            value = to_visit.pop()
            children: list[Any]
            if is_dict(value):
                if _TYPE_FIELD in value and value[_TYPE_FIELD] == self.type:
                    found.append(value)
                    continue
                children = list(value.values())
            elif is_list(value):
                children = value
            else:
                continue
            if id(value) not in entered:
                entered.add(id(value))
                to_visit.extend(reversed(children))
        return found

    def to_dict(self) -> Expansions:
        """Return what this tree stands for, in the form in which calls take it."""
        type_name: Any = self.type  # None only at the root of a tree that was built by hand
        return {type_name: [path for node in self.expansions for path in node.to_strings()]}


class ExpansionNode(TypeNode):
    """One expansion: which field of an object refers to what, and which action resolves the reference.

    Args:
        node_type: The type of the objects that this expansion yields, or ``None``.
        name: The name of the expansion.
        source_field: The field that holds the id.
        destination_field: The field into which the object is put.
        service: The service that resolves ids.
        action: The action that resolves ids.
        request_field: The field of the request in which the action takes a list of ids.
        response_field: The field of the response in which the action returns a dictionary of objects by id.
        raise_action_errors: Whether the call fails if this expansion does.
    """

    def __init__(
        self,
        node_type: str | None,
        name: str,
        source_field: str,
        destination_field: str,
        service: str,
        action: str,
        request_field: str,
        response_field: str,
        raise_action_errors: bool = True,
    ) -> None:
        super().__init__(node_type)
        self.name = name
        self.source_field = source_field
        self.destination_field = destination_field
        self.service = service
        self.action = action
        self.request_field = request_field
        self.response_field = response_field
        self.raise_action_errors = raise_action_errors

    def to_strings(self) -> list[str]:
        """Return the paths to the leaves below this node, each beginning with this node's name."""
        if not self._expansions:
            return [self.name]
        return [f"{self.name}.{path}" for node in self.expansions for path in node.to_strings()]


class ExpansionConverter:
    """Turns what a call asks for into expansion trees, and back.

    Args:
        type_routes: The setting of this name of :class:`ExpansionSettings`.
        type_expansions: The setting of this name of :class:`ExpansionSettings`.
    """

    def __init__(self, type_routes: TypeRoutes, type_expansions: TypeExpansions) -> None:
        self.type_routes = type_routes
        self.type_expansions = type_expansions

    def dict_to_trees(self, expansion_dict: Mapping[str, list[str]]) -> list[TypeNode]:
        """Return one tree per type, in which paths with a common beginning share nodes.

        Raises:
            KeyError: The configuration lacks a type, an expansion of a type, or a route; the key is its
                argument.
            ValueError: An expansion has the same field for source and destination.
        """
        trees: list[TypeNode] = []
        for type_name, paths in expansion_dict.items():
            tree = TypeNode(type_name)
            for path in paths:
                self._add_path(tree, path)
            trees.append(tree)
        return trees

    @staticmethod
    def trees_to_dict(trees_list: list[TypeNode]) -> Expansions:
        """Return what :meth:`dict_to_trees` turns into these trees, without paths that others include."""
        expansions: Expansions = {}
        for tree in trees_list:
            expansions.update(tree.to_dict())
        return expansions

    def _add_path(self, tree: TypeNode, path: str) -> None:
        node = tree
        for name in path.split("."):
            child = node.get_expansion(name)
            if child is None:
                child = self._new_node(node.type, name)
                node.add_expansion(child)
            node = child

    def _new_node(self, type_name: str | None, name: str) -> ExpansionNode:
        # The type of a node may be None, which is no key: the KeyError names it, as callers know from 1.x.
        expansions = cast(Mapping[Any, Mapping[str, Mapping[str, Any]]], self.type_expansions)
        expansion = expansions[type_name][name]
        route = self.type_routes[expansion["route"]]
        source_field = expansion["source_field"]
        if expansion["destination_field"] == source_field:
            raise ValueError(
                "Expansion configuration destination_field error: "
                f"destination_field can not have the same name as the source_field: {source_field}"
            )
        return ExpansionNode(
            node_type=expansion["type"],
            name=name,
            source_field=source_field,
            destination_field=expansion["destination_field"],
            service=route["service"],
            action=route["action"],
            request_field=route["request_field"],
            response_field=route["response_field"],
            raise_action_errors=expansion.get("raise_action_errors", False),
        )

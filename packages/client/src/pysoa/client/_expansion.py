"""Plans expansions: which actions to call with which ids, and where the objects in their responses go.

No I/O: the caller sends the requests of a round, all of them before it awaits any, and hands back the
responses.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs

from pysoa.client.expander import ExpansionNode, TypeNode
from pysoa.common._plain import is_dict
from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, JobResponse

__all__ = (
    "Batch",
    "ExpansionPlan",
    "ExpansionTrouble",
)

# The name that 1.x logged under, which deployments may have configured.
_logger = logging.getLogger("pysoa.client.client")

_MISSING: Final = object()


@attrs.frozen
class _Target:
    """An object that waits for one expansion."""

    object: dict[str, Any]
    node: ExpansionNode
    id: Any


@attrs.define
class Batch:
    """One request of a round: an action to call, and the objects that wait for its response."""

    service: str
    action: str
    request_field: str
    ids: list[Any] = attrs.field(factory=list[Any])
    targets: list[_Target] = attrs.field(factory=list[_Target])

    @property
    def body(self) -> dict[str, Any]:
        """The body of the action request."""
        return {self.request_field: self.ids}

    @property
    def guard_key(self) -> str:
        """What is asked only once with the same id in one call."""
        return f"{self.service}.{self.action}.{self.request_field}"

    @property
    def is_strict(self) -> bool:
        """Whether any of the objects must not go without its expansion silently."""
        return any(target.node.raise_action_errors for target in self.targets)


@attrs.define
class ExpansionTrouble:
    """What went wrong in a round with expansions that must not fail silently."""

    actions: list[ActionResponse] = attrs.field(factory=list[ActionResponse])
    """The failed action responses, each once."""
    errors: list[Error] = attrs.field(factory=list[Error])
    """The errors of the failed jobs."""
    no_action_in: list[Batch] = attrs.field(factory=list[Batch])
    """The requests whose responses hold no action response."""
    bad_response_fields: list[str] = attrs.field(factory=list[str])
    """One text per response that lacks the field which its route names."""

    def __bool__(self) -> bool:
        return bool(self.actions or self.errors or self.no_action_in or self.bad_response_fields)


_Work = list[tuple[dict[str, Any], Sequence[ExpansionNode]]]


class ExpansionPlan:
    """The expansion of the objects in some responses, from the first round to the last.

    Args:
        trees: What to expand.
        actions: The responses. The objects in their bodies are changed.
    """

    def __init__(self, trees: Sequence[TypeNode], actions: Iterable[ActionResponse]) -> None:
        self._trees = trees
        self._asked: dict[str, set[Any]] = {}
        bodies = [action.body for action in actions]
        self._work: _Work = []
        for tree in trees:
            for body in bodies:
                self._add_work(tree, body)

    def next_round(self) -> list[Batch]:
        """Return the requests to send next; none if everything is done."""
        while self._work:
            batches = [batch for batch in self._make_batches() if self._remove_known_ids(batch)]
            self._work = []
            if batches:
                return batches
        return []

    def take_responses(self, responses: Iterable[tuple[Batch, JobResponse]]) -> ExpansionTrouble:
        """Attach what the requests of a round have returned, and find out what follows from it.

        Args:
            responses: All batches that :meth:`next_round` returned last, with their responses.

        Returns:
            What the call has to fail with. It is empty if the next round can begin.
        """
        trouble = ExpansionTrouble()
        for batch, response in responses:
            self._take_response(batch, response, trouble)
        return trouble

    # Before a round

    def _add_work(self, node: TypeNode, value: object) -> None:
        expansions = node.expansions
        if expansions:
            self._work.extend((found, expansions) for found in node.find_objects(value))

    def _make_batches(self) -> list[Batch]:
        batches: dict[tuple[str, str, str], Batch] = {}
        seen: set[tuple[int, int]] = set()
        for found, nodes in self._work:
            for node in nodes:
                # The same object may be found in several places, and there is no use in expanding it twice.
                identity = (id(found), id(node))
                source = found.get(node.source_field)
                if node.destination_field in found or not source or identity in seen:
                    continue
                seen.add(identity)
                if not _is_hashable(source):
                    _logger.warning(
                        "Skipping expansion %s: field %s of an object holds a %s, not a single identifier",
                        node.name,
                        node.source_field,
                        type(source).__name__,
                    )
                    continue
                key = (node.service, node.action, node.request_field)
                batch = batches.setdefault(key, Batch(*key))
                batch.targets.append(_Target(found, node, source))
        return list(batches.values())

    def _remove_known_ids(self, batch: Batch) -> bool:
        """Set the ids to ask for, which are those never asked for before; tell whether there are any."""
        asked = self._asked.setdefault(batch.guard_key, set())
        wanted = dict.fromkeys(target.id for target in batch.targets)
        batch.ids = [identifier for identifier in wanted if identifier not in asked]
        if not batch.ids:
            _logger.info(
                "Avoiding infinite recursion by skipping duplicate expansion: %s = %s",
                batch.guard_key,
                set(wanted),
            )
            return False
        asked.update(batch.ids)
        return True

    # After a round

    def _take_response(self, batch: Batch, response: JobResponse, trouble: ExpansionTrouble) -> None:
        if response.errors:
            if batch.is_strict:
                trouble.errors.extend(response.errors)
            return
        if not response.actions:
            _logger.warning("The response to expansion request %s holds no action response", batch.guard_key)
            if batch.is_strict:
                trouble.no_action_in.append(batch)
            return
        action = response.actions[0]
        if action.errors and batch.is_strict:
            trouble.actions.append(action)
        if not action.body:
            return
        self._attach(batch, action, trouble)
        if not action.errors:
            for tree in self._trees:
                self._add_work(tree, action.body)

    def _attach(self, batch: Batch, action: ActionResponse, trouble: ExpansionTrouble) -> None:
        """Put the values of a response into the objects that wait for them."""
        complained_about: set[int] = set()
        searched: set[tuple[int, int]] = set()
        for target in batch.targets:
            node = target.node
            values: object = action.body.get(node.response_field, _MISSING)
            if not is_dict(values):
                if id(node) not in complained_about:
                    complained_about.add(id(node))
                    self._complain(batch, node, values, action, trouble)
                continue
            value: Any = values.get(target.id, _MISSING)
            if value is _MISSING:
                continue
            target.object[node.destination_field] = value
            # Only what was attached for this node is searched: the same response may hold objects for others.
            if (id(value), id(node)) not in searched:
                searched.add((id(value), id(node)))
                self._add_work(node, value)

    @staticmethod
    def _complain(
        batch: Batch, node: ExpansionNode, values: object, action: ActionResponse, trouble: ExpansionTrouble
    ) -> None:
        what = "is missing" if values is _MISSING else f"holds a {type(values).__name__}, not a dictionary"
        text = f"{node.response_field} (it {what} in the response of {batch.service}.{batch.action})"
        if not node.raise_action_errors:
            _logger.warning("Skipping expansion %s: response field %s", node.name, text)
        elif not action.errors:
            trouble.bad_response_fields.append(text)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True

"""Actions with schemas as services use them: nested, lists of dictionaries, nullable, any-of, dates."""

from __future__ import annotations

from typing import Any

from conformity import fields

from bench_service import bodies
from pysoa.server.action.base import Action
from pysoa.server.server import Server

RECORD = fields.Dictionary(
    {
        "id": fields.Integer(gte=1),
        "name": fields.UnicodeString(min_length=1, max_length=100),
        "score": fields.Float(),
        "nickname": fields.Nullable(fields.UnicodeString()),
        "created": fields.DateTime(),
        "reference": fields.Any(fields.Integer(), fields.UnicodeString()),
        "tags": fields.List(fields.UnicodeString(max_length=20), max_length=10),
        "active": fields.Boolean(),
    }
)

ORDER = fields.Dictionary(
    {
        "id": fields.Integer(gte=1),
        "placed": fields.DateTime(),
        "reference": fields.Any(fields.Integer(), fields.UnicodeString()),
        "note": fields.Nullable(fields.UnicodeString(max_length=200)),
        "paid": fields.Boolean(),
        "customer": fields.Dictionary(
            {
                "id": fields.Integer(gte=1),
                "name": fields.UnicodeString(min_length=1),
                "email": fields.UnicodeString(min_length=3),
                "score": fields.Float(gte=0),
            }
        ),
        "lines": fields.List(
            fields.Dictionary(
                {
                    "sku": fields.UnicodeString(min_length=1),
                    "quantity": fields.Integer(gte=1),
                    "price": fields.Integer(gte=0),
                    "discount": fields.Nullable(fields.Integer()),
                }
            ),
            min_length=1,
        ),
    }
)

ROW = fields.Dictionary(
    {
        "id": fields.Integer(gte=0),
        "name": fields.UnicodeString(),
        "text": fields.UnicodeString(),
        "active": fields.Boolean(),
    }
)


class EchoRecord(Action):
    """Answers a small body with itself."""

    request_schema = fields.Dictionary({"record": RECORD})
    response_schema = fields.Dictionary({"record": RECORD})

    def run(self, request: Any) -> dict[str, Any]:
        """Return the body that came in."""
        return {"record": request.body["record"]}


class EchoOrders(Action):
    """Answers a nested body of some kilobytes with itself."""

    request_schema = fields.Dictionary({"orders": fields.List(ORDER)})
    response_schema = fields.Dictionary({"orders": fields.List(ORDER)})

    def run(self, request: Any) -> dict[str, Any]:
        """Return the body that came in."""
        return {"orders": request.body["orders"]}


class ListRows(Action):
    """Answers with as many rows as asked for, about 1 KB each."""

    request_schema = fields.Dictionary({"rows": fields.Integer(gte=0)})
    response_schema = fields.Dictionary({"rows": fields.List(ROW)})

    def run(self, request: Any) -> dict[str, Any]:
        """Return that many rows; they are made once, since making them is not what is measured."""
        count = request.body["rows"]
        if count not in _ROWS:
            _ROWS[count] = bodies.large(count)
        return _ROWS[count]


_ROWS: dict[int, dict[str, Any]] = {}


class BenchServer(Server):
    """The measured service."""

    service_name = "bench"
    action_class_map = {"echo_record": EchoRecord, "echo_orders": EchoOrders, "list_rows": ListRows}

"""The bodies that the scenarios send, made of plain values so that every contestant can carry them."""

from __future__ import annotations

import datetime
from typing import Any

_WHEN = datetime.datetime(2026, 3, 14, 15, 9, 26, 535897)


def small() -> dict[str, Any]:
    """Return a body of about 110 bytes of MessagePack."""
    return {
        "record": {
            "id": 1048577,
            "name": "Ada Lovelace",
            "score": 99.5,
            "nickname": None,
            "created": _WHEN,
            "reference": 77,
            "tags": ["new", "green"],
            "active": True,
        }
    }


def medium() -> dict[str, Any]:
    """Return a body of about 9 KB: 29 orders, each with a customer and four lines."""
    return {"orders": [_order(number) for number in range(29)]}


def large(rows: int) -> dict[str, Any]:
    """Return a body of about 1 KB for each row."""
    return {
        "rows": [
            {
                "id": number,
                "name": f"row {number}",
                "text": "0123456789abcdef" * 61,
                "active": number % 2 == 0,
            }
            for number in range(rows)
        ]
    }


def _order(number: int) -> dict[str, Any]:
    return {
        "id": 9_000_000 + number,
        "placed": _WHEN + datetime.timedelta(minutes=number),
        "reference": number if number % 2 else f"R-{number:06d}",
        "note": None if number % 3 else "leave at the door",
        "paid": number % 5 != 0,
        "customer": {"id": 400 + number, "name": "Grace Hopper", "email": "grace@example.com", "score": 4.5},
        "lines": [
            {"sku": f"SKU-{number:03d}-{line}", "quantity": line + 1, "price": 1999 + line, "discount": None}
            for line in range(4)
        ],
    }

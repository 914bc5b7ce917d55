"""Lists as ConnectWise answers them: conditions, order, chosen fields, and both ways of paging."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from plugins.connectwise.upstream import conditions
from plugins.connectwise.upstream.conditions import NotUnderstood, Record, values_at

_DEFAULT_SIZE, _MOST = 25, 1000


class Refused(Exception):
    """An answer with an error status.

    :ivar errors: further errors of a body that is not valid.
    """

    def __init__(self, status: int, code: str, message: str, errors: Sequence[Mapping[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.errors = status, code, message, errors


def chosen(records: Iterable[Record], asked: Mapping[str, Any]) -> list[Record]:
    """The records that the conditions of a call let through."""
    try:
        tests = [conditions.read(str(asked.get(name) or "")) for name in ("conditions", "childConditions")]
        custom = conditions.read(str(asked.get("customFieldConditions") or ""))
        return [record for record in records if all(test(record) for test in tests)
                and (not asked.get("customFieldConditions") or any(map(custom, record.get("customFields") or ())))]
    except NotUnderstood as problem:
        raise Refused(400, "InvalidConditions", str(problem)) from None


def ordered(records: Sequence[Record], order: str) -> list[Record]:
    """In this order; by id when none is given."""
    rows = sorted(records, key=lambda record: record["id"])
    for part in reversed([part for part in order.split(",") if part.strip()]):
        field, _, direction = part.strip().partition(" ")
        rows.sort(key=partial(_place, field), reverse=direction.strip().lower() == "desc")
    return rows


def _place(field: str, record: Record) -> tuple[int, Any]:
    value = values_at(record, field)[0]
    return (0, "") if value is None else (1, value.casefold() if isinstance(value, str) else value)


def narrowed(record: Record, fields: str) -> Record:
    """The fields that were asked for; ``_info`` is among them only when it is named."""
    if not fields:
        return record
    told: dict[str, Any] = {}
    for path in (part.strip() for part in fields.split(",")):
        head, _, rest = path.partition("/")
        if head not in record:
            continue
        if rest and isinstance(record[head], Mapping):
            told.setdefault(head, {}).update(narrowed(record[head], rest))
        else:
            told[head] = _without_info(record[head])
    return told


def _without_info(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: inner for name, inner in value.items() if name != "_info"}
    return [_without_info(inner) for inner in value] if isinstance(value, list) else value


def page(rows: Sequence[Record], asked: Mapping[str, str], address: str, is_forward_only: bool) -> tuple[list[Record], str]:
    """One page of the chosen rows and its Link header, empty when there is none.

    :param address: of the list, as Link headers name it.
    """
    size = _integer(asked, "pageSize", _DEFAULT_SIZE)
    if not 1 <= size <= _MOST:
        raise Refused(400, "InvalidObject", "pageSize is invalid", [
            {"code": "OutOfRange", "message": f"The field pageSize must be between 1 and {_MOST}.", "resource": "page",
             "field": "pageSize"}])
    if is_forward_only:
        return _forward(rows, asked, address, size)
    return _numbered(ordered(rows, asked.get("orderBy", "")), asked, address, size)


def _forward(rows: Sequence[Record], asked: Mapping[str, str], address: str, size: int) -> tuple[list[Record], str]:
    if asked.get("orderBy"):
        raise Refused(400, "InvalidObject", "orderBy is not supported with forward-only pagination")
    after = _integer(asked, "pageId", 0)
    shown = [row for row in ordered(rows, "") if row["id"] > after][:size]
    target = f"{address}?{urlencode({**_kept(asked), 'pageSize': size, 'pageId': shown[-1]['id']})}" if shown else ""
    return shown, f'<{target}>; rel="next"'


def _numbered(rows: Sequence[Record], asked: Mapping[str, str], address: str, size: int) -> tuple[list[Record], str]:
    number, last = _integer(asked, "page", 1), max(1, -(-len(rows) // size))
    ways = {"first": 1 if number > 1 else None, "prev": number - 1 if number > 1 else None, "next": number + 1 if number < last else None,
            "last": last if number < last else None}
    kept = _kept(asked)
    links = [f'<{address}?{urlencode({**kept, "pageSize": size, "page": to})}>; rel="{way}"' for way, to in ways.items() if to]
    return list(rows[(number - 1) * size:number * size]), ", ".join(links)


def _kept(asked: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in asked.items() if name not in ("page", "pageId", "pageSize")}


def _integer(asked: Mapping[str, str], name: str, default: int) -> int:
    text = asked.get(name, "")
    if not text:
        return default
    if not text.isdecimal():
        raise Refused(400, "InvalidObject", f"{name} is not a number")
    return int(text)

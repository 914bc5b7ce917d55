"""How the ``/v1`` surface words what goes well: every answer in one envelope, every listing of pages with its place in the whole."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from flask_smorest import Blueprint
from marshmallow import Schema, fields, pre_load, validate

from core.http.schemas import CamelSchema

DEFAULT_ROWS, MOST_ROWS = 30, 1000
_MOST_PAGES = 1_000_000

View = TypeVar("View", bound=Callable[..., Any])


class PaginationSchema(CamelSchema):
    """Where a page stands; the numbers of its neighbours are null at the ends."""

    previous_page = fields.Integer(allow_none=True)
    current_page = fields.Integer(required=True)
    next_page = fields.Integer(allow_none=True)
    total_pages = fields.Integer(required=True)
    total_records = fields.Integer(required=True)
    listed_records = fields.Integer(required=True)


class QueryArgs(CamelSchema):
    """Query parameters. One without a value, as a form with empty inputs sends it, is as good as none."""

    @pre_load
    def leave_out_empty_ones(self, asked: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        return {name: asked[name] for name in asked if asked[name] != ""}


class RowArgs(QueryArgs):
    """Query parameters of a listing in numbered pages; subclass it to add filters. ``rpp`` is the records per page."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, _MOST_PAGES))
    rpp = fields.Integer(load_default=DEFAULT_ROWS, validate=validate.Range(1, MOST_ROWS))


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """One page of a listing: what a view returns whose answer is ``paged``."""

    rows: Sequence[Any]
    page: int
    rows_per_page: int
    total: int

    @property
    def pagination(self) -> dict[str, int | None]:
        pages = -(-self.total // self.rows_per_page)
        return {"previous_page": min(self.page - 1, pages) or None, "current_page": self.page,
                "next_page": self.page + 1 if self.page < pages else None, "total_pages": pages, "total_records": self.total,
                "listed_records": len(self.rows)}


@dataclass(frozen=True, slots=True)
class Told:
    """A result that is told in other words than the view's usual ones."""

    message: str
    data: Any


def answers(blueprint: Blueprint, schema: Schema | type[Schema] | fields.Field | None, message: str, *, status: int = 200,
            paged: bool = False) -> Callable[[View], View]:
    """Declare that a view's result is the ``data`` of an envelope with this message.

    :param schema: of the data; a field for what is no object; None for data that is null.
    :param paged: the view returns a ``NumberedPage``; its place goes beside the data.
    """

    def declare(view: View) -> View:
        @wraps(view)
        def wrapped(*args: Any, **kwargs: Any) -> dict[str, Any]:
            result = view(*args, **kwargs)
            said = message
            if isinstance(result, Told):
                said, result = result.message, result.data
            told = {"data": result.rows, "pagination": result.pagination} if paged else {"data": result}
            return {"status": status, "message": said, **told, "successful": True}

        return blueprint.response(status, _envelope(schema, paged, f"{blueprint.name}_{view.__name__}"))(wrapped)

    return declare


def _envelope(schema: Schema | type[Schema] | fields.Field | None, paged: bool, name: str) -> Schema:
    described: dict[str, Any] = {"status": fields.Integer(required=True), "message": fields.String(required=True), "data": _data(schema)}
    if paged:
        described["pagination"] = fields.Nested(PaginationSchema, required=True)
    return Schema.from_dict({**described, "successful": fields.Boolean(required=True)}, name=f"{name.title().replace('_', '')}Answer")()


def _data(schema: Schema | type[Schema] | fields.Field | None) -> fields.Field:
    if schema is None:
        return fields.Raw(allow_none=True)
    return schema if isinstance(schema, fields.Field) else fields.Nested(schema)

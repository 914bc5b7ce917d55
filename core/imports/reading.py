"""A report, read whole by the parser that fits, and held against what its sender may see."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.assets.models import Asset
from core.db.bulk import rows_by_key
from core.deployment import Deployment
from core.errors import Forbidden
from core.hooks.contracts import AssetDraft, ReportParser
from core.imports import parsers
from core.imports.report import Report
from core.imports.request import Received, owner_id
from core.imports.spool import Spool
from core.scope import Scope


@contextmanager
def read(deployment: Deployment, report: Report, received: Received) -> Iterator[tuple[ReportParser, Spool]]:
    """The report's parser and all that it holds.

    :raises BadRequest, TooLarge, UnknownFormat: when the report is not sound, naming the place.
    """
    parser = parsers.choose(deployment, report, received.request.format)
    named, other = received.request.asset, report.stem
    spool = Spool(AssetDraft(named, named, "report") if named else None, AssetDraft(other, other, "report") if other else None)
    try:
        parsers.read(parser, report, spool)
        yield parser, spool
    finally:
        spool.close()


def stored_assets(customer_id: str, source: str, spool: Spool) -> dict[str, str]:
    """Ids of those of the report's assets that are stored, by key."""
    fixed = {"customer_id": customer_id, "connection_id": owner_id(customer_id, source)}
    return dict(rows_by_key(Asset, ("external_key", "id"), fixed, "external_key", spool.asset_keys))


def check_scope(scope: Scope, source: str, spool: Spool) -> None:
    """Who is limited to some groups may write to the assets in these, and make new ones.

    :raises Forbidden: when the report is of another.
    """
    if scope.group_ids is None:
        return
    stored = set(stored_assets(scope.customer_id, source, spool).values())
    visible = {key for (key,) in Asset.within(scope).select(Asset.id).where(Asset.id.in_(sorted(stored))).tuples()}
    if visible != stored:
        raise Forbidden("The report is of an asset outside the groups that you are limited to")

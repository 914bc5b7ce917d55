"""The SLA policy: within how many days findings are to be fixed, for the organization and for asset groups."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from flask import Response, request, url_for
from marshmallow import ValidationError

from core.assets.models import AssetGroup
from core.errors import BadRequest
from core.findings import sla
from core.findings.schemas import PoliciesSchema
from core.findings.sla import Policy
from core.http.access import current_principal, current_scope, requires
from core.overview import service as overview
from web.blueprint import blp
from web.forms import sentences
from web.frame import page
from web.ways import back_to

_SEVERITIES = ("critical", "high", "medium", "low")
_OWN, _NEW = "own", "new"  # stand for the group's id in the names of fields


@dataclass(frozen=True, slots=True)
class Row:
    """One policy as the form has it: days as they were typed.

    :ivar key: the group's id; ``own`` for the organization, ``new`` for the row that adds a group.
    """

    key: str
    name: str
    days: Mapping[str, str]
    counts_working_days: bool
    faults: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not any(self.days.values())


@blp.get("/findings/sla-policy")
@requires("overview.read")
def policy() -> Response:
    return _shown(list(_stored()))


@blp.post("/findings/sla-policy")
@requires("overview.read", "sla.manage")
def save_policy() -> Any:
    """Make the policies those of the form, unless somebody has changed them since the form was shown."""
    if request.form.get("seen") != _digest():
        return _shown(list(_stored()), has_changed=True, status=409)
    rows, added = list(_typed()), request.form.get(f"{_NEW}.groupId", "")
    body = {"policy": _body(rows[0]), "groups": [{"groupId": added if row.key == _NEW else row.key, **_body(row)} for row in rows[1:]]}
    try:
        wanted = PoliciesSchema().load(body)
        policies = [Policy(None, **wanted["policy"]), *(Policy(**policy) for policy in wanted["groups"])]
        sla.replace(current_scope(), policies, actor=current_principal().actor)
    except ValidationError as problem:
        return _shown(_with_faults(rows, problem.normalized_messages()), added=added, status=400)
    except BadRequest as problem:  # a group that is given twice, or no more there
        told = sentences(problem.details) or (problem.message,)
        return _shown(rows, fault=" ".join(told), added=added, status=400)
    return back_to(url_for("web.policy"), notice="saved")


def _shown(rows: Sequence[Row], *, added: str = "", fault: str = "", has_changed: bool = False, status: int = 200) -> Response:
    scope = current_scope()
    shown = {row.key for row in rows}
    others = [group for group in _groups() if group.id not in shown]
    may_manage = current_principal().holds("sla.manage", scope.customer_id) and not scope.is_limited_to_groups
    if may_manage and others and _NEW not in shown:
        rows = [*rows, Row(_NEW, "", dict.fromkeys(_SEVERITIES, ""), False)]
    return page("policy.html", status, rows=rows, own=rows[0], others=others, added=added, severities=_SEVERITIES, may_manage=may_manage,
                has_policy=any(not row.is_empty for row in rows), has_changed=has_changed, fault=fault, seen=_digest(),
                overdue=overview.breaches(scope), most=sla.MOST_DAYS, is_saved=request.args.get("notice") == "saved")


def _groups() -> list[AssetGroup]:
    return list(AssetGroup.visible_in(current_scope()).order_by(AssetGroup.name, AssetGroup.id))


def _stored() -> Iterator[Row]:
    """The organization's own policy, whether or not there is one, then those of groups by name."""
    known = {policy.group_id: policy for policy in sla.policies(current_scope())}
    yield _row(known.get(None, Policy(None)), "")
    for group in _groups():
        if group.id in known:
            yield _row(known[group.id], group.name)


def _row(policy: Policy, name: str) -> Row:
    days = {severity: "" if getattr(policy, severity) is None else str(getattr(policy, severity)) for severity in _SEVERITIES}
    return Row(policy.group_id or _OWN, name, days, policy.counts_working_days)


def _digest() -> str:
    """Of the policies as they are stored."""
    known = [asdict(policy) for policy in sla.policies(current_scope())]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]


def _typed() -> Iterator[Row]:
    """The rows of the form; the one that adds a group only when something stands in it."""
    for row in _stored():
        yield _typed_row(row.key, row.name)
    new = _typed_row(_NEW, "")
    if not new.is_empty or request.form.get(f"{_NEW}.groupId"):
        yield new


def _typed_row(key: str, name: str) -> Row:
    days = {severity: request.form.get(f"{key}.{severity}", "").strip() for severity in _SEVERITIES}
    return Row(key, name, days, request.form.get(f"{key}.workingDays") == "yes")


def _body(row: Row) -> dict[str, Any]:
    """As the API takes it; what is no number goes there as it is, to be refused."""
    days = {severity: (int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text) if text else None
            for severity, text in row.days.items()}
    return {**days, "workingDays": row.counts_working_days}


def _with_faults(rows: Sequence[Row], found: Mapping[str, Any]) -> list[Row]:
    of_groups = found.get("groups", {})
    told = [found.get("policy", {}), *(of_groups.get(number, {}) for number in range(len(rows) - 1))]
    return [Row(row.key, row.name, row.days, row.counts_working_days,
                {name: sentences(messages) for name, messages in faults.items()} if isinstance(faults, Mapping) else {})
            for row, faults in zip(rows, told, strict=True)]

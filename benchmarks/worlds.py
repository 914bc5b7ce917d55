"""Data of the sizes that the figures are asked at."""

from collections.abc import Iterator

from core import clock
from core.assets.models import Asset, AssetGroup, GroupMember
from core.db import atomic
from core.db.bulk import bulk_insert
from core.findings import rollups
from core.findings.models import Finding
from core.findings.rows import STORED, digest_of, said_by
from core.hooks.contracts import FindingDraft, Severity
from core.tenancy.models import Customer

ASSETS, GROUPS = 2000, 200
_AT_ONCE = 5000


def drafts(number: int) -> Iterator[FindingDraft]:
    """Drafts of the size and shape that a SonarQube issue has."""
    for index in range(number):
        yield FindingDraft(
            source_key=f"01fc972e-2a3c-433e-bcae-{index:012d}", title="Bind this value instead of concatenating it into the query",
            severity=Severity(index % 5), source_status="OPEN", category="vulnerability", rule=f"java:S{2000 + index % 60}",
            description="A value from the request reaches the statement without being bound. " * 2, cwe=(89, 564),
            path=f"src/main/java/acme/billing/Invoice{index % 300}Dao.java", line=index % 900 + 1, fingerprint=f"{index:032x}",
            url=f"https://sonar.example/project/issues?id=acme%3Abilling&issues={index}&open={index}", created_at=1_700_000_000_000 + index,
            updated_at=1_700_000_000_000 + index, details={"effort": "30min", "tags": ["cwe", "sql"]})


def asset(customer_id: str, name: str) -> Asset:
    return Asset.create(id=f"ast_{customer_id}_{name}"[:32], customer_id=customer_id, connection_id="con_bench", source="sonarqube",
                        kind="sonar_project", discipline="appsec", external_key=name, name=name, discovered_at=clock.now())


def rows(asset_id: str, customer_id: str, of: list[FindingDraft]) -> list[tuple]:
    """Finished rows of ``STORED``, for the bare baselines."""
    undecided = (None,) * 5
    return [(customer_id, asset_id, "sonarqube", draft.source_key, *said_by(draft), "open", *undecided, 1, None, "run_bench", "run_bench",
             digest_of(draft)) for draft in of]


def portfolio(customer_id: str, findings: int) -> None:
    """A customer with 2,000 assets in 200 groups of 20 (half of the assets in a second group), and so many findings."""
    now = clock.now()
    Customer.create(id=customer_id, name=customer_id, name_key=customer_id, created_at=now, updated_at=now)
    with atomic():
        assets = [asset(customer_id, f"project-{number:04d}") for number in range(ASSETS)]
        for number in range(GROUPS):
            AssetGroup.create(id=f"grp_{customer_id}_{number}"[:32], customer_id=None if number % 10 == 0 else customer_id,
                              name=f"Group {number}", created_at=now, updated_at=now)
        memberships = {(number // 10, number) for number in range(ASSETS)} | {(number % GROUPS, number) for number in range(0, ASSETS, 2)}
        bulk_insert(GroupMember, ("customer_id", "group_id", "asset_id", "added_at"),
                    [(customer_id, f"grp_{customer_id}_{group}"[:32], assets[number].id, now) for group, number in sorted(memberships)])
    each, more = divmod(findings, ASSETS)
    pending: list[tuple] = []
    for number, one in enumerate(assets):
        pending += rows(one.id, customer_id, list(drafts(each + (number < more))))
        if len(pending) >= _AT_ONCE or number == ASSETS - 1:
            with atomic():
                bulk_insert(Finding, STORED, pending)
            pending = []
    with atomic():
        for start in range(0, ASSETS, 500):
            rollups.recount(customer_id, [one.id for one in assets[start:start + 500]])

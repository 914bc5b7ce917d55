"""How v1 and its webhooks tell a project and an issue."""

from typing import Any

from plugins.snyk.upstream.answers import date
from plugins.snyk.upstream.world import Issue, Organization, Project, made_id

_MATURITY = {"Proof of Concept": "proof-of-concept", "Functional": "mature", "High": "mature", "Attacked": "mature"}


def project_facts(pages: str, owner: Organization, one: Project) -> dict[str, Any]:
    """A project with its counts.

    :param pages: address that links to it begin with.
    """
    return {
        "id": one.id, "name": one.name, "created": date(one.created), "origin": one.origin, "type": one.type, "readOnly": False,
        "testFrequency": "daily", "totalDependencies": 40 + len(one.issues), "issueCountsBySeverity": one.counts(),
        "remoteRepoUrl": one.target.url or None, "lastTestedDate": date(one.tested), "isMonitored": one.status == "active",
        "browseUrl": f"{pages}/org/{owner.slug}/project/{one.id}", "branch": one.target_reference, "targetReference": one.target_reference,
        "tags": [{"key": key, "value": value} for key, value in one.tags],
        "attributes": {"criticality": list(one.criticality), "environment": list(one.environment), "lifecycle": list(one.lifecycle)},
        "importingUser": {"id": made_id("importer", owner.id), "name": "Importer", "username": "importer", "email": "importer@example.org"},
    }


def issue_facts(issue: Issue) -> dict[str, Any]:
    """What is told as ``issueData``."""
    return {
        "id": issue.rule or issue.key, "title": issue.title, "severity": issue.severity,
        "url": f"https://security.snyk.io/vuln/{issue.rule or issue.key}", "description": issue.description,
        "identifiers": {"CVE": list(issue.cve), "CWE": [f"CWE-{number}" for number in issue.cwe]}, "credit": [],
        "exploitMaturity": _MATURITY.get(issue.maturity, "no-known-exploit"), "semver": {"vulnerable": ["*"]},
        "publicationTime": date(issue.created), "disclosureTime": date(issue.created), "CVSSv3": issue.vector or None,
        "cvssScore": str(issue.score) if issue.score is not None else None, "cvssDetails": [], "language": "", "patches": [],
        "nearestFixedInVersion": issue.fixed_in,
    }

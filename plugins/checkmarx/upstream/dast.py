"""DAST: environments, their scans, and what the attacks found. None of it is in the listings of projects."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from core import clock
from plugins.checkmarx.upstream.answers import Call, Refused, date, null_if_empty
from plugins.checkmarx.upstream.world import Attack, DastScan, Environment, stable_id

TARGETS_PASSWORD = "wachtwoord-van-het-doel"  # noqa: S105 - nobody's; tests look for it where it must not be
_RANKS = {"CRITICAL": 0, "HIGH": 1, "MEDIUM": 2, "LOW": 3, "INFO": 4}


def tenant(call: Call) -> dict[str, Any]:
    _demand_licence(call)
    return {"tenantID": call.tenant.id, "environmentsCount": len(call.tenant.environments), "riskRating": "High risk"}


def environments(call: Call) -> dict[str, Any]:
    """``GET /api/dast/scans/environments``"""
    _demand_licence(call)
    text = call.args.get("search", "").lower()
    found = sorted((environment for environment in call.tenant.environments.values()
                    if text in f"{environment.name} {environment.url}".lower()), key=lambda environment: environment.id)
    return {"environments": null_if_empty([_environment(call, environment) for environment in call.window(found)]),
            "totalItems": len(found), "misconfiguredCount": 0, "zrokHost": ""}


def environment(call: Call, environment: str) -> dict[str, Any]:
    return _environment(call, _known(call, environment))


def scans(call: Call) -> dict[str, Any]:
    """``GET /api/dast/scans/scans``: the oldest first unless it is sorted otherwise."""
    known = _known(call, call.need("environmentId"))
    found = sorted(known.scans, key=lambda scan: scan.updated, reverse=call.args.get("sort", "").endswith(":desc"))
    return {"scans": null_if_empty([_scan(known, scan) for scan in call.window(found)]), "totalScans": len(found)}


def scan(call: Call, scan: str) -> dict[str, Any]:
    environment, known = _scan_of(call, scan)
    return _scan(environment, known)


def results(call: Call, scan: str) -> dict[str, Any]:
    """``GET /api/dast/mfe-results/results/{scan}``"""
    environment, known = _scan_of(call, scan)
    attacks = sorted(known.attacks, key=lambda attack: (_RANKS.get(attack.severity, 5), attack.id))
    size = call.number("per_page", 10, 1, 100)
    return {"results": null_if_empty([_attack(environment, attack) for attack in call.numbered(attacks, 10, 100)]),
            "total": len(attacks), "pages_number": -(-len(attacks) // size)}


def alerts(call: Call, environment: str, scan: str) -> dict[str, Any]:
    """``.../alert_level``: instances grouped by what they are."""
    _, known = _scan_of(call, scan)
    grouped: dict[str, list[Attack]] = {}
    for attack in known.attacks:
        grouped.setdefault(attack.name, []).append(attack)
    rows = [{"alert_similarity_id": stable_id("alert", environment, name), "state": attacks[0].state, "severity": attacks[0].severity,
             "name": name, "num_instances": len(attacks), "status": attacks[0].status, "owasp": list(attacks[0].owasp), "num_notes": 0}
            for name, attacks in sorted(grouped.items())]
    size = call.number("per_page", 10, 1, 100)
    return {"results": list(call.numbered(rows, 10, 100)), "total": len(rows), "pages_number": -(-len(rows) // size)}


def result(call: Call, result: str, scan: str) -> dict[str, Any]:
    """``.../results/info/{result}/{scan}``"""
    environment, known = _scan_of(call, scan)
    for attack in known.attacks:
        if attack.id == result:
            return {**_attack(environment, attack), "confidence": "High", "attack": "", "evidence": "", "score": 7.5, "ref": [],
                    "request_header": "", "request_body": "", "response_header": "", "response_body": "", "params": "", "other_info": ""}
    raise Refused(404, "result not found")


def grouped(call: Call, scan: str) -> list[dict[str, Any]]:
    _, known = _scan_of(call, scan)
    counts = Counter(str(getattr(attack, call.need("group"), "")) for attack in known.attacks)
    return [{"count": number, "group": [value]} for value, number in sorted(counts.items())]


def _demand_licence(call: Call) -> None:
    if not call.tenant.has_dast:
        raise Refused(403)


def _known(call: Call, key: str) -> Environment:
    _demand_licence(call)
    found = call.tenant.environments.get(key)
    if found is None:
        raise Refused(404, "environment not found")
    return found


def _scan_of(call: Call, key: str) -> tuple[Environment, DastScan]:
    _demand_licence(call)
    for environment in call.tenant.environments.values():
        for known in environment.scans:
            if known.id == key:
                return environment, known
    raise Refused(404, "scan not found")


def _environment(call: Call, environment: Environment) -> dict[str, Any]:
    last = environment.last
    levels = _levels(last.attacks if last else ())
    return {
        "environmentId": environment.id, "tunnelId": "", "created": date(_added(environment)), "creator": "anna",
        "domain": environment.name, "url": environment.url, "scanType": "DAST", "projectIds": list(environment.projects),
        "tags": list(environment.tags), "groups": [], "applications": [], "riskLevel": levels,
        "alertRiskLevel": {"CriticalCount" if name == "criticalCount" else name: number for name, number in levels.items()},
        "riskRating": "High risk" if levels["highCount"] else "Medium risk", "lastAlertRiskRating": "High risk",
        "lastScanID": last.id if last else "", "lastScanTime": date(last.updated) if last else "",
        "lastStatus": last.status if last else "New", "lastCorrelationStatus": "", "authSuccess": True, "authMethod": "form",
        "lastAuthUUID": "", "lastAuthSuccess": True, "hasReport": bool(last), "hasAuth": True, "isPublic": True,
        "tunnelState": "no_tunnel", "settings": {},
        # the real service gives the target's credentials away here, so that nobody may keep this part
        "scanConfig": {"ScanURL": environment.url, "IncludePaths": [],
                       "Users": [{"Credentials": {"username": "qa", "password": TARGETS_PASSWORD}}]},
    }


def _added(environment: Environment) -> int:
    """When the environment was added: a month before its first scan."""
    return min((scan.updated for scan in environment.scans), default=clock.from_iso("2026-01-15T09:00:00Z")) - 30 * clock.DAY


def _scan(environment: Environment, scan: DastScan) -> dict[str, Any]:
    levels = _levels(scan.attacks)
    return {"scanId": scan.id, "environmentId": environment.id, "initiator": "anna", "scanType": "DAST", "lastStatus": scan.status,
            "riskRating": "High risk", "alertRiskRating": "High risk", "created": date(scan.updated - clock.HOUR),
            "startTime": date(scan.updated - 30 * clock.MINUTE), "updateTime": date(scan.updated), "scanDuration": 1728,
            "tags": [], "groups": [], "hasResults": bool(scan.attacks), "riskLevel": levels, "alertRiskLevel": levels, "projectId": "",
            "statistics": "", "complianceData": {}, "hasLog": True, "scannedPathsCount": 214, "settings": {}, "source": "UI",
            "insights": []}


def _levels(attacks: Iterable[Attack]) -> dict[str, int]:
    counts = Counter(attack.severity for attack in attacks)
    return {f"{name.lower()}Count": counts[name] for name in _RANKS}


def _attack(environment: Environment, attack: Attack) -> dict[str, Any]:
    return {"id": attack.id, "severity": attack.severity, "state": attack.state, "name": attack.name,
            "description": attack.description, "url": attack.url or environment.url + attack.path, "method": attack.method,
            "path": attack.path, "cwe_id": attack.cwe,
            "environment_id": environment.id, "notes_data": [], "owasp": list(attack.owasp), "solution": attack.solution,
            "status": attack.status, "scan_type": "DAST", "changelog_data": []}

"""What the results of each engine say: where they are, what they are about, what stays from scan to scan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from plugins.checkmarx.readings import cve_of, cwe_named, cwe_of, line_of, plain, text_of, words

_MOST_REFERENCES = 10

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What only the results of one engine say.

    :ivar lasting: what stays when Checkmarx One gives the result another id.
    :ivar page: of the engine, in the results of a scan; empty when it has none.
    """

    category: str
    title: str
    lasting: tuple[str, ...]
    page: str = ""
    rule: str = ""
    description: str = ""
    cwe: tuple[int, ...] = ()
    cve: tuple[str, ...] = ()
    path: str = ""
    line: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def _sast(record: Record, data: Record, more: Record) -> Told:
    nodes = data.get("nodes") or [{}]
    source, sink = nodes[0], nodes[-1]
    query = str(data["queryId"])
    return Told(
        category="sast", title=words(data["queryName"]), page="sast", rule=query_rule(query),
        lasting=(query, str(record.get("similarityId") or "")),
        description="\n".join([text_of(record.get("description")), *(f"{number}. {_step(node)}" for number, node in enumerate(nodes, 1)
                                                                   if node)]).strip(),
        cwe=cwe_of(more.get("cweId")), path=source.get("fileName") or "", line=line_of(source.get("line")),
        # as text: the query's id is larger than what a browser keeps of a number
        details={"query_id": query, "group": data.get("group"), "language": data.get("languageName"), "result_id": record.get("id"),
                 "compliances": list(more.get("compliances") or ()), "method": source.get("method"),
                 "sink": _step(sink) if len(nodes) > 1 else ""})


def _kics(record: Record, data: Record, more: Record) -> Told:
    name, path = plain(data["queryName"]), data.get("fileName") or data.get("filename") or ""
    expected, found = text_of(data.get("expectedValue")), text_of(data.get("value") or data.get("actualValue"))
    return Told(
        category="iac", title=name, page="kics", rule=f"kics:{plain(data.get('queryId') or name)}",
        lasting=(name, path, found),
        description="\n".join(part for part in (text_of(record.get("description")), expected and f"Expected: {expected}",
                                                found and f"Found: {found}") if part),
        cwe=cwe_of(more.get("cweId")), path=path, line=line_of(data.get("line")),
        details={"group": plain(data.get("group")), "platform": data.get("platform"), "issue_type": data.get("issueType"),
                 "expected": expected, "found": found})


def _sca(record: Record, data: Record, more: Record) -> Told:
    package = data["packageIdentifier"]
    manager, name, version = _package(package)
    advisory = str(record["id"])
    cve = cve_of(more.get("cveName"), advisory)
    return Told(
        category="sca", title=f"{cve[0] if cve else advisory} in {name} {version}".rstrip(), page="sca",
        rule="" if cve else f"sca:{advisory}", lasting=(advisory, manager, name),
        cwe=cwe_of(more.get("cweId")) or cwe_named(more.get("cveName")), cve=cve, path=package,
        details={"package": name, "version": version, "package_manager": manager, "fixed_in": _fixed_in(data.get("recommendedVersion")),
                 "advisory": advisory, "recommendation": data.get("recommendations"), "published": data.get("publishedAt"),
                 "references": _references(data.get("packageData")), "exploitable": bool(data.get("exploitableMethods")) or None,
                 **_cvss(more)})


def _container(record: Record, data: Record, more: Record) -> Told:
    package, version = str(data.get("packageName") or ""), str(data.get("packageVersion") or "")
    image, tag = str(data.get("imageName") or ""), str(data.get("imageTag") or "")
    advisory = str(record["id"])
    cve = cve_of(more.get("cveName"), advisory)
    whole = f"{image}:{tag}" if image and tag else image
    return Told(
        category="container", title=f"{cve[0] if cve else advisory} in {package} {version}".rstrip(),
        page="containers" if record["type"] == "containers" else "sca", rule="" if cve else f"containers:{advisory}",
        lasting=(advisory, package, image),  # without the tag: a new build of an image brings the same vulnerability along
        cwe=cwe_of(more.get("cweId")), cve=cve, path=whole or f"{package} {version}".strip(),
        details={"package": package, "version": version, "image": image, "tag": tag, "file": data.get("imageFilePath"),
                 "image_origin": data.get("imageOrigin"), "advisory": advisory, "published": data.get("publishedAt"), **_cvss(more)})


def _supply_chain(record: Record, data: Record, more: Record) -> Told:
    # the snippet is left out: it is the secret, if only in part
    is_secret = record["type"] == "sscs-secret-detection"
    name = plain(data.get("ruleName") or data.get("ruleId") or record["type"])
    path = data.get("fileName") or data.get("filename") or ""
    return Told(
        category="secret" if is_secret else "supply_chain", title=f"Secret: {name}" if is_secret else name,
        rule=f"{record['type']}:{data.get('ruleId') or name}", lasting=(name, path),
        description=text_of(record.get("description")) or text_of(data.get("ruleDescription")),
        cwe=cwe_of(more.get("cweId")) or ((798,) if is_secret else ()), path=path, line=line_of(data.get("line")),
        details={"remediation": text_of(data.get("remediation")), "remediation_link": data.get("remediationLink"),
                 "validity": data.get("validity"), "in_source": data.get("isInSource"), "commit": data.get("commitUrl"),
                 "step": data.get("slsaStep")})


def unknown(record: Record, data: Record, more: Record) -> Told:
    name = plain(data.get("queryName") or data.get("ruleName") or record.get("id"))
    path = data.get("fileName") or data.get("filename") or ""
    return Told(category=str(record["type"]), title=words(name), lasting=(name, path), cwe=cwe_of(more.get("cweId")),
                 cve=cve_of(more.get("cveName"), record.get("id")), path=path, line=line_of(data.get("line")), details=_cvss(more))


READERS: dict[str, Callable[[Record, Record, Record], Told]] = {
    "sast": _sast, "kics": _kics, "sca": _sca, "containers": _container, "sca-container": _container,
    "sscs-secret-detection": _supply_chain, "sscs-scorecard": _supply_chain,
}


def query_rule(query: Any) -> str:
    """The rule key of a SAST query, by its id."""
    return f"sast:{query}"


def _step(node: Record) -> str:
    line = line_of(node.get("line"))
    where = (node.get("fileName") or "") + (f":{line}" if line else "")
    return f"{where} {node.get('name') or ''}".strip()


def _package(identifier: str) -> tuple[str, str, str]:
    """Manager, name and version of ``Npm-examplehdr-2.3.0``; the name may hold hyphens itself."""
    manager, _, rest = identifier.partition("-")
    name, _, version = rest.rpartition("-")
    return (manager, name, version) if name else ("", identifier, "")


def _fixed_in(version: Any) -> str:
    return version if isinstance(version, str) else ""


def _references(data: Any) -> list[str]:
    links = [entry.get("url") for entry in data or () if isinstance(entry, Mapping)]
    return [link for link in links if isinstance(link, str) and link][:_MOST_REFERENCES]


def _cvss(more: Record) -> dict[str, Any]:
    """Score, rounded since it comes with the noise of 32 bits, and the vector's parts as they are told."""
    score, vector = more.get("cvssScore"), more.get("cvss")
    told: dict[str, Any] = {"cvss": round(float(score), 1) if score else None}
    if isinstance(vector, Mapping):
        told["cvss_vector"] = {str(name): value for name, value in vector.items() if value not in (None, "")}
    return told

"""The JSON of a scan report of Checkmarx One: results by query, platform, package and image, each told as the API would tell it."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from core import clock
from core.hooks.contracts import FindingDraft
from core.imports.json_stream import JsonStream
from plugins.checkmarx.readings import fingerprint, split

Record = Mapping[str, Any]
Take = Callable[[Record], FindingDraft]  # makes a finding of a result as the API tells it


def of_code(document: JsonStream, take: Take) -> Iterator[FindingDraft]:
    """``scanResults``: a list of queries, or engines with languages with queries."""
    for name in document.members():
        kind = document.kind()
        if name == "resultsList" and kind == "array":
            for found in document.each(partial(_of_query, take, "")):
                yield from found
        elif kind == "object":
            yield from _of_engine(document, take)


def _of_engine(document: JsonStream, take: Take) -> Iterator[FindingDraft]:
    """SAST by language, packages, and configurations by platform."""
    for name in document.members():
        if document.kind() != "array":
            continue
        if name == "languages":
            for _ in document.items():
                yield from _of_language(document, take)
        elif name in ("packages", "results"):
            for found in document.each(partial(_of_package if name == "packages" else _of_platform, take)):
                yield from found


def _of_language(document: JsonStream, take: Take) -> Iterator[FindingDraft]:
    language = ""
    for part in document.members():
        if part == "languageName":
            language = document.text()
        elif part == "queries" and document.kind() == "array":
            for found in document.each(partial(_of_query, take, language)):
                yield from found


def _of_query(take: Take, language: str, query: Record) -> list[FindingDraft]:
    return [take(_of_sast(query, told, language)) for told in query.get("vulnerabilities") or ()]


def _of_sast(query: Record, told: Record, language: str) -> dict[str, Any]:
    """A result of a query as the API would tell it."""
    nodes = _nodes(told)
    digest = fingerprint(str(query.get("queryId") or query["queryName"]),
                         *(f"{node.get('fileName')}:{node.get('line')}:{node.get('column')}:{node.get('name')}" for node in nodes))
    return {
        "type": "sast",
        "id": told.get("id") or told.get("resultHash") or _linked_id(told) or digest,
        "similarityId": told.get("similarityId"),
        "severity": told["severity"],
        "state": told.get("state") or told.get("status"),
        "status": told.get("status"),
        "description": query.get("description"),
        "firstFoundAt": _instant(told.get("firstFoundDate")),
        "foundAt": _instant(told.get("foundDate")),
        "data": {"queryId": query.get("queryId") or query["queryName"], "queryName": query["queryName"],
                 "group": query.get("groupName") or query.get("queryPath"), "resultHash": told.get("resultHash"),
                 "languageName": language, "nodes": nodes},
        "vulnerabilityDetails": {"cweId": told.get("cweId") or query.get("cweId")},
    }


def _nodes(told: Record) -> list[Record]:
    """The path, which some reports begin behind its source, or leave out between its ends."""
    nodes = list(told.get("nodes") or ())
    ends: list[Record] = [{"fileName": told.get(f"{end}FileName"), "line": told.get(f"{end}Line"), "name": told.get(f"{end}Node")}
            for end in ("source", "destination") if told.get(f"{end}FileName")]
    if not nodes:
        return ends
    if ends and told.get("sourceLine") and _spot(ends[0]) != _spot(nodes[0]):
        return [ends[0], *nodes]
    return nodes


def _spot(node: Record) -> tuple[Any, Any]:
    return node.get("fileName"), node.get("line")


def _linked_id(told: Record) -> str:
    """The id that the link to a result ends in; some reports have it nowhere else."""
    return "".join(parse_qs(split(told.get("resultViewerLink")).query.replace("+", "%2B")).get("result-id", ())[:1])


def of_configurations(document: JsonStream, take: Take) -> Iterator[FindingDraft]:
    """``iacScanResults``: technologies with queries with results."""
    for name in document.members():
        if name == "technology" and document.kind() == "array":
            for found in document.each(partial(_of_technology, take)):
                yield from found


def _of_platform(take: Take, platform: Record) -> list[FindingDraft]:
    """Results of a platform, each of which has its query in itself."""
    return [take(_of_kics(platform, told, told)) for told in platform.get("vulnerabilities") or ()]


def _of_technology(take: Take, technology: Record) -> list[FindingDraft]:
    return [take(_of_kics(technology, query, told)) for query in technology.get("queries") or ()
            for told in query.get("resultsList") or ()]


def _of_kics(technology: Record, query: Record, told: Record) -> dict[str, Any]:
    """A result for a configuration as the API would tell it."""
    return {
        "type": "kics",
        "id": told.get("id") or _linked_id(told) or fingerprint(
            str(query["queryName"]), str(told.get("fileName")), str(told.get("line")), str(told.get("actualValue"))),
        "similarityId": told.get("similarityId"),
        "severity": told["severity"],
        "state": told.get("state"),
        "status": told.get("status"),
        "description": query.get("description"),
        "firstFoundAt": _instant(told.get("firstDetectionDate") or told.get("firstFoundDate")),
        "foundAt": _instant(told.get("lastDetectionDate") or told.get("foundDate")),
        "data": {**told, "queryId": query.get("queryId") or query["queryName"], "queryName": query["queryName"],
                 "group": query.get("category"), "platform": technology.get("name")},
        "vulnerabilityDetails": {"cweId": told.get("cweId") or query.get("cweId")},
    }


def of_packages(document: JsonStream, take: Take) -> Iterator[FindingDraft]:
    """``scaScanResults``: packages with vulnerabilities."""
    for name in document.members():
        if name == "packages" and document.kind() == "array":
            for found in document.each(partial(_of_package, take)):
                yield from found


def _of_package(take: Take, package: Record) -> list[FindingDraft]:
    """Vulnerabilities of a package, which may be grouped by their weakness."""
    grouped = [{"cweId": category.get("categoryName"), **told} for category in package.get("packageCategory") or ()
               for told in category.get("categoryResults") or ()]
    return [take(_of_sca(package, told)) for told in (*(package.get("vulnerabilities") or ()), *grouped)]


def _of_sca(package: Record, told: Record) -> dict[str, Any]:
    """A vulnerability of a package as the API would tell it."""
    name, version = package.get("packageName") or package["name"], package.get("packageVersion") or package.get("version") or ""
    manager, whole = package.get("packageManager") or package.get("packageRepository") or "", str(package.get("packageId") or "")
    advisory = next((told[field] for field in ("cveName", "cveId", "cve", "vulnerabilityId") if told.get(field)), None) or told["id"]
    return {
        "type": "sca",
        "id": advisory,
        "similarityId": told.get("similarityId"),
        "severity": told["severity"],
        "state": told.get("state"),
        "status": told.get("status"),
        "description": told.get("description"),
        "firstFoundAt": _instant(told.get("firstFoundDate") or told.get("firstFoundAt")),
        "foundAt": _instant(told.get("foundDate")),
        "data": {"packageIdentifier": whole if name in whole else f"{manager}-{name}-{version}".strip("-"),
                 "recommendedVersion": told.get("fixVersion") or told.get("recommendedVersion")},
        "vulnerabilityDetails": {"cweId": told.get("cweId") or told.get("cwe"), "cveName": told.get("cveName"),
                                 "cvssScore": told.get("cvssScore") or told.get("score")},
    }


def of_images(document: JsonStream, take: Take) -> Iterator[FindingDraft]:
    """``containerScanResults``: images with layers with packages with vulnerabilities."""
    for name in document.members():
        if name == "images" and document.kind() == "array":
            for _ in document.items():
                yield from _of_image(document, take)


def _of_image(document: JsonStream, take: Take) -> Iterator[FindingDraft]:
    image = ""
    for name in document.members():
        if name == "name":
            image = document.text()
        elif name == "layers" and document.kind() == "array":
            for _ in document.items():
                for part in document.members():
                    if part == "packages" and document.kind() == "array":
                        for found in document.each(partial(_of_image_package, take, image)):
                            yield from found


def _of_image_package(take: Take, image: str, package: Record) -> list[FindingDraft]:
    return [take(_of_container(image, package, told)) for told in package.get("vulnerabilities") or ()]


def _of_container(image: str, package: Record, told: Record) -> dict[str, Any]:
    """A vulnerability of a package of an image as the API would tell it."""
    name, _, tag = image.rpartition(":") if ":" in image.rpartition("/")[2] else (image, "", "")
    advisory = told.get("cve") or told.get("cveName") or told["id"]
    return {
        "type": "containers",
        "id": advisory,
        "similarityId": told.get("similarityId"),
        "severity": told["severity"],
        "state": told.get("state"),
        "status": told.get("status"),
        "description": told.get("description"),
        "firstFoundAt": _instant(told.get("firstFoundDate")),
        "foundAt": _instant(told.get("foundDate")),
        "data": {"packageName": package.get("packageName"), "packageVersion": package.get("packageVersion") or package.get("version"),
                 "imageName": name, "imageTag": tag},
        "vulnerabilityDetails": {"cweId": told.get("cweId") or told.get("cwe"), "cvssScore": told.get("cvssScore")},
    }


def has_any(document: JsonStream) -> bool:
    """Whether a section has results at all."""
    found = [document.kind() == "array" and bool(document.value()) for _ in document.members()]  # to its end
    return any(found)


def _instant(told: Any) -> str | None:
    """Some write their dates for people; those are left out."""
    if isinstance(told, Mapping) and isinstance(told.get("seconds"), int):
        return clock.iso(told["seconds"] * clock.SECOND)
    return told if isinstance(told, str) and told[:4].isdecimal() and told[4:5] == "-" else None

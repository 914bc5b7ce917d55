"""From ConnectWise's records to what is kept of them. Pure functions: no network, no database."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core import clock
from core.db.texts import clean
from core.tenancy.service import folded

Record = Mapping[str, Any]

#: what is asked of a company, and all that is kept of it
COMPANY_FIELDS = ("id", "identifier", "name", "status", "types", "addressLine1", "addressLine2", "city", "state", "zip", "country",
                  "website", "deletedFlag", "_info/lastUpdated")
#: of a configuration; not its questions and notes, which are free text in which passwords are found
CONFIGURATION_FIELDS = ("id", "name", "type", "status", "company", "site", "manufacturer", "deviceIdentifier", "serialNumber",
                        "modelNumber", "tagNumber", "purchaseDate", "installationDate", "warrantyExpirationDate", "macAddress", "ipAddress",
                        "defaultGateway", "osType", "osInfo", "cpuSpeed", "ram", "localHardDrives", "activeFlag", "managementLink",
                        "_info/lastUpdated")
_ADDRESS = {"line1": "addressLine1", "line2": "addressLine2", "city": "city", "state": "state", "zip": "zip"}
_REFERENCES = ("type", "status", "company", "site", "manufacturer")
_NOT_SHOWN = ("id", "name", "company", "_info/lastUpdated")
_LONGEST = {"identifier": 100, "name": 200}


@dataclass(frozen=True, slots=True)
class Company:
    """A company as ConnectWise has it.

    :ivar data: ``status``, ``types``, ``website`` and ``address``, as far as they are known.
    :ivar changed_at: milliseconds; None when it is not told.
    """

    cw_id: int
    identifier: str
    name: str
    data: Mapping[str, Any]
    changed_at: int | None
    is_deleted: bool

    @property
    def digest(self) -> str:
        return _digest(self.identifier, self.name, self.data, self.changed_at)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration; ``company_id`` is None for one that belongs to nobody."""

    cw_id: int
    company_id: int | None
    name: str
    data: Mapping[str, Any]
    changed_at: int | None

    @property
    def digest(self) -> str:
        return _digest(self.company_id, self.name, self.data, self.changed_at)


def to_company(record: Record) -> Company:
    """:raises KeyError, TypeError, ValueError: for a record that lacks its id or its name, or where they are none."""
    name = _text(record["name"])
    identifier = _text(record.get("identifier")) or name
    if not folded(name):
        raise ValueError("the name is empty")
    address = {ours: _text(record.get(theirs)) or None for ours, theirs in _ADDRESS.items()}
    address["country"] = _text(_named(record.get("country"))) or None
    data = {"status": _text(_named(record.get("status"))), "website": _text(record.get("website")), "address": address,
            "types": sorted(filter(None, (_text(_named(kind)) for kind in record.get("types") or ())))}
    return Company(_key(record["id"]), identifier[:_LONGEST["identifier"]], name[:_LONGEST["name"]], data, _changed(record),
                   record.get("deletedFlag") is True)


def to_configuration(record: Record) -> Configuration:
    """:raises KeyError, TypeError, ValueError: for a record that lacks its id, or where it is none."""
    company = record.get("company")
    data: dict[str, Any] = {}
    for field in CONFIGURATION_FIELDS:
        value = record.get(field)
        if field in _NOT_SHOWN or value is None:
            continue
        data[field] = _reference(value) if field in _REFERENCES else value if isinstance(value, bool) else _text(value)
    return Configuration(_key(record["id"]), _key(company["id"]) if isinstance(company, Mapping) else None,
                         _text(record.get("name"))[:_LONGEST["name"]], data, _changed(record))


def _key(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
        raise ValueError(f"{value!r} is no id")
    return value


def _text(value: Any) -> str:
    return "" if value is None else clean(value if isinstance(value, str) else json.dumps(value))


def _named(reference: Any) -> Any:
    return reference.get("name") if isinstance(reference, Mapping) else None


def _reference(value: Any) -> dict[str, Any] | None:
    """Id and name of what is referred to, without the links that come along."""
    return {"id": value.get("id"), "name": _text(value.get("name"))} if isinstance(value, Mapping) else None


def _changed(record: Record) -> int | None:
    told = (record.get("_info") or {}).get("lastUpdated")
    try:
        return clock.from_iso(told) if isinstance(told, str) else None
    except (ValueError, OverflowError):
        return None


def _digest(*facts: Any) -> str:
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

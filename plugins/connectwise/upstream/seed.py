"""The companies of the demo and of ``python -m plugins.connectwise.upstream``: more than a page of them, with all that real ones have."""

import random
from collections.abc import Mapping
from typing import Any

from plugins.connectwise.upstream.world import STATUSES, World

#: how many companies, and how many configurations each has at most
COMPANIES, CONFIGURATIONS = 16, 3
#: the companies that the demo's customers are, and two of one name, which a person has to decide about
DEMO = {251: ("Northwind Retail", "NorthwindRetail"), 252: ("Contoso Insurance", "Contoso"), 253: ("Fjellvik Elektro AS", "Fjellvik"),
        254: ("Fjellvik  elektro AS", "FjellvikOslo")}
_FIRST = ("Northfjell", "Blåfjell", "Ørsta", "Solvik", "Brattland", "Østlig", "Granås", "Fjordtun", "Havgap", "Lysefoss")
_SECOND = ("Eiendom", "Rør", "Elektro", "Regnskap", "Transport", "Fisk", "Bygg", "Data", "Klinikk", "Advokat")
_ODD: Mapping[int, dict[str, Any]] = {
    1: {"deletedFlag": True}, 2: {"leadFlag": True}, 3: {"isVendorFlag": True}, 4: {"status": {"id": 2, "name": STATUSES[2]}},
    5: {"country": None, "website": ..., "phoneNumber": ...}, 7: {"customFields": []},
    6: {"types": [{"id": 1, "name": "Customer"}, {"id": 14, "name": "Managed Security"}]}}
_SPECIAL = 40  # one in so many is deleted, a lead, a vendor, inactive, or lacks what others have


def demo_world(companies: int = COMPANIES, configurations: int = CONFIGURATIONS) -> World:
    """The same world in every process."""
    world, chance = World(), random.Random(20261113)  # noqa: S311 - made-up companies
    for key, (name, identifier) in DEMO.items():
        world.add_company(key, name, identifier)
    for number in range(companies):
        key = 300 + number
        name = f"{_FIRST[number % 10]} {_SECOND[number // 10 % 10]}" + (f" {number // 100 + 1}" if number >= 100 else "") + " AS"
        world.add_company(key, name, f"{name[:20].replace(' ', '')}{number}", **_odd(number))
    number = 90_000
    for key in sorted(world.companies):
        for _ in range(chance.randint(0, configurations)):
            number += 1
            world.add_configuration(number, f"FW-{key}-{number % 100:02}", key, activeFlag=number % 9 != 0)
    world.add_configuration(number + 1, "Spare firewall", None)
    return world


def _odd(number: int) -> dict[str, Any]:
    """What is odd about every so manyth company."""
    return _ODD.get(number % _SPECIAL, {})

"""What a field of a credential may hold: each kind of value with the check of its form."""

import ipaddress
import re
import unicodedata
from collections.abc import Callable

LONGEST_VALUE = 65_536  # characters: a private key with its chain
_BITLOCKER = re.compile(r"\d{6}(?:-\d{6}){7}", re.ASCII)
_BITLOCKER_LIMIT = 720_896  # 11 * 2**16: each group is a 16-bit number times eleven
_LICENSE = re.compile(r"[!-~]+(?: [!-~]+)*")
_FEWEST_OF_LICENSE, _MOST_OF_LICENSE = 4, 2000
_MOST_OF_PASSWORD = 4096


def _plain_text(text: str) -> str:
    return ""


def _license_key(text: str) -> str:
    if not _LICENSE.fullmatch(text) or not any(map(str.isalnum, text)):
        return "Must be one line of visible ASCII characters, groups apart by dashes or single blanks."
    if not _FEWEST_OF_LICENSE <= len(text) <= _MOST_OF_LICENSE:
        return f"Must have {_FEWEST_OF_LICENSE} to {_MOST_OF_LICENSE} characters."
    return ""


def _ip_address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "Must be an IPv4 or IPv6 address, without a port or prefix length."
    return "Must be an address without a zone." if getattr(address, "scope_id", None) else ""


def _generic_secret(text: str) -> str:
    return "" if text.strip() else "Must hold more than blanks."


def _bitlocker_key(text: str) -> str:
    if not _BITLOCKER.fullmatch(text):
        return "Must be a BitLocker recovery key: eight groups of six digits, apart by dashes."
    for number, group in enumerate(map(int, text.split("-")), start=1):
        if group % 11 or group >= _BITLOCKER_LIMIT:
            return f"Group {number} of this BitLocker recovery key is mistyped: its check digit does not fit."
    return ""


def _password(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in text):
        return "Must be one line without control characters."
    return "" if len(text) <= _MOST_OF_PASSWORD else f"Must have at most {_MOST_OF_PASSWORD} characters."


#: by the name that the surface gives them, in its order
VALUE_TYPES: dict[str, Callable[[str], str]] = {
    "plain_text": _plain_text,
    "license_key": _license_key,
    "ip_address": _ip_address,
    "generic_secret": _generic_secret,
    "bitlocker_key": _bitlocker_key,
    "password": _password,
}


def fault_in(value_type: str, text: str) -> str:
    """What is wrong with a value, as a sentence that does not repeat it; empty when nothing is."""
    if len(text) > LONGEST_VALUE:
        return f"Must have at most {LONGEST_VALUE} characters."
    return VALUE_TYPES[value_type](text)

"""AES-256-GCM over short texts, bound to where they belong: a sealed text that is moved elsewhere does not open."""

import base64
import binascii
import json
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = "v1"
_NONCE_BYTES = 12


class SealBroken(Exception):
    """A sealed text does not open: it was changed or moved, or its key is another one."""


def sealed(key: bytes, version: int, text: str, bound: Sequence[str]) -> str:
    """``v1.<key version>.<base 64 of nonce and ciphertext>``.

    :param bound: names of the place that the text belongs to; together with format and version they are authenticated.
    """
    nonce = os.urandom(_NONCE_BYTES)
    box = nonce + AESGCM(key).encrypt(nonce, text.encode(), _associated(version, bound))
    return f"{_FORMAT}.{version}.{base64.b64encode(box).decode()}"


def opened(key: bytes, text: str, bound: Sequence[str]) -> str:
    """The text that was sealed.

    :raises SealBroken: when it does not open with this key at this place.
    """
    version, box = _parted(text)
    try:
        return AESGCM(key).decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], _associated(version, bound)).decode()
    except (InvalidTag, ValueError) as problem:
        raise SealBroken("a sealed value does not open") from problem


def key_version(text: str) -> int:
    """The version of the key that a text was sealed under.

    :raises SealBroken: when it is no sealed text.
    """
    return _parted(text)[0]


def _parted(text: str) -> tuple[int, bytes]:
    try:
        form, version, box = text.split(".")
        if form != _FORMAT:
            raise SealBroken("a sealed value has an unknown format")
        return int(version), base64.b64decode(box, validate=True)
    except (ValueError, binascii.Error) as problem:
        raise SealBroken("a sealed value is not well formed") from problem


def _associated(version: int, bound: Sequence[str]) -> bytes:
    return json.dumps([_FORMAT, version, *bound], separators=(",", ":")).encode()

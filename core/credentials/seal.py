"""AES-256-GCM over short texts, bound to where they belong: a sealed text that is moved elsewhere does not open.

A box is one byte for its format, four for the version of its key, the nonce and the ciphertext with its tag.
"""

import base64
import binascii
import json
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: format 1 wrote its place as JSON, which took a third of the time; format 2 did not tell how many names it has
_EARLIEST, _WITHOUT_NUMBER, _FORMAT = 1, 2, 3
_NOW = bytes((_FORMAT,))
_HEAD, _NONCE = 5, 12
_BODY = _HEAD + _NONCE
_TAG = 16
_BETWEEN = "\0"
_MOST_NAMES = 4


class SealBroken(Exception):
    """A sealed text does not open: it was changed or moved, or its key is another one."""


class Key:
    """One version of a key, ready to seal and to open."""

    __slots__ = ("_decrypt", "_encrypt", "_head", "_places", "version")

    def __init__(self, key: bytes, version: int) -> None:
        gcm = AESGCM(key)
        self.version = version
        self._encrypt, self._decrypt = gcm.encrypt, gcm.decrypt
        self._head = _NOW + version.to_bytes(4)
        # The number of names is told before them: so no two places look alike, as long as no name that is sealed for has a NUL.
        self._places = [_BETWEEN.join(("stockade", str(_FORMAT), str(version), str(names), "")) for names in range(_MOST_NAMES + 1)]

    def seal(self, text: str, bound: Sequence[str]) -> bytes:
        """A box of the text.

        :param bound: up to four names of the place that the text belongs to; with format and version they are authenticated.
        :raises ValueError: when a name holds a NUL.
        """
        names = _BETWEEN.join(bound)
        if names.count(_BETWEEN) != len(bound) - 1:
            raise ValueError("the name of a place holds a NUL")
        nonce = os.urandom(_NONCE)
        return self._head + nonce + self._encrypt(nonce, text.encode(), (self._places[len(bound)] + names).encode())

    def open(self, box: bytes, bound: Sequence[str]) -> str:
        """The text in a box.

        :raises SealBroken: when it does not open with this key at this place.
        """
        if box[:1] == _NOW:  # the version needs no look: another key does not open it
            place = (self._places[len(bound)] + _BETWEEN.join(bound)).encode()
        else:
            place = self._place_of_before(box, bound)
        try:
            return self._decrypt(box[_HEAD:_BODY], box[_BODY:], place).decode()
        except (InvalidTag, ValueError) as problem:
            raise SealBroken("a sealed value does not open") from problem

    def _place_of_before(self, box: bytes, bound: Sequence[str]) -> bytes:
        if key_version(box) != self.version:
            raise SealBroken("a sealed value has another key")
        if box[0] == _EARLIEST:
            return json.dumps(["v1", self.version, *bound], separators=(",", ":")).encode()
        if any(_BETWEEN in name for name in bound):
            raise SealBroken("the name of a place holds a NUL")
        return _BETWEEN.join(("stockade", str(_WITHOUT_NUMBER), str(self.version), *bound)).encode()


def key_version(box: bytes) -> int:
    """The version of the key that a box was sealed under.

    :raises SealBroken: when it is no box.
    """
    if len(box) < _BODY + _TAG or not _EARLIEST <= box[0] <= _FORMAT:
        raise SealBroken("a sealed value is not well formed")
    return int.from_bytes(box[1:_HEAD])


def armored(box: bytes) -> str:
    """A box as text: ``v<format>.<key version>.<base 64 of the rest>``."""
    return f"v{box[0]}.{key_version(box)}.{base64.b64encode(box[_HEAD:]).decode()}"


def unarmored(text: str) -> bytes:
    """The box of such a text.

    :raises SealBroken: when it is none.
    """
    try:
        form, version, rest = text.split(".")
        box = bytes((int(form.removeprefix("v")),)) + int(version).to_bytes(4) + base64.b64decode(rest, validate=True)
    except (ValueError, OverflowError, binascii.Error) as problem:
        raise SealBroken("a sealed value is not well formed") from problem
    key_version(box)
    return box

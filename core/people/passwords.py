"""Passwords: what makes one acceptable, and Argon2id over it."""

import os
import threading
import unicodedata

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from core.errors import BadRequest

SHORTEST = 12
LONGEST = 1024  # hashing has a price; nobody types more

#: iterations, lanes, KiB of memory; "standard" is OWASP's second recommendation, about 35 ms
_COSTS = {"standard": (2, 1, 19 * 1024), "test": (1, 1, 8)}
_SALT_BYTES, _HASH_BYTES = 16, 32

# Each hash in progress holds its memory; more than a few at once only queue for the same processors.
_places = threading.BoundedSemaphore(4)
_nobodys: dict[str, str] = {}


def check_acceptable(password: str, email: str) -> None:
    """Refuse what should never be a password.

    :raises BadRequest: with the rule that was broken.
    """
    if len(password) < SHORTEST:
        raise BadRequest(f"A password has at least {SHORTEST} characters", details={"password": [f"Shorter than {SHORTEST} characters."]})
    if len(password) > LONGEST:
        raise BadRequest(f"A password has at most {LONGEST} characters", details={"password": [f"Longer than {LONGEST} characters."]})
    if _folded(password) in (_folded(email), _folded(email).partition("@")[0]):
        raise BadRequest("A password must differ from the e-mail address", details={"password": ["Is the e-mail address."]})


def hashed(password: str, cost: str) -> str:
    """The PHC string to keep. ``cost`` is the setting ``password_cost``."""
    iterations, lanes, memory = _COSTS[cost]
    kdf = Argon2id(salt=os.urandom(_SALT_BYTES), length=_HASH_BYTES, iterations=iterations, lanes=lanes, memory_cost=memory)
    with _places:
        return kdf.derive_phc_encoded(_bytes(password))


def matches(password: str, phc: str | None, cost: str) -> bool:
    """Whether the password belongs to the hash. Without a hash it takes as long, and is False."""
    if len(password) > LONGEST:
        return False
    with _places:
        try:
            Argon2id.verify_phc_encoded(_bytes(password), phc or _hash_of_nobody(cost))
        except InvalidKey:
            return False
    return phc is not None


def _hash_of_nobody(cost: str) -> str:
    if cost not in _nobodys:
        iterations, lanes, memory = _COSTS[cost]
        kdf = Argon2id(salt=os.urandom(_SALT_BYTES), length=_HASH_BYTES, iterations=iterations, lanes=lanes, memory_cost=memory)
        _nobodys[cost] = kdf.derive_phc_encoded(os.urandom(_HASH_BYTES))
    return _nobodys[cost]


def _bytes(password: str) -> bytes:
    # The same characters typed on another keyboard may arrive composed otherwise.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()

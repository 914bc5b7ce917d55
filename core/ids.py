"""Public ids: opaque strings with a short prefix that says what they name, such as ``cus_7k2m9q4x0d3b``."""

import secrets

from sqids import Sqids

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 14  # 32**14 = 2**70: collisions are left to the primary key

_finding_ids = Sqids(alphabet="k3h9vd2nq7wz5bxf8rjm4tgp6cys", min_length=10)
_FINDING_PREFIX = "fnd_"


def new_id(prefix: str) -> str:
    """A fresh random id, ``prefix`` and 14 characters of Crockford base 32."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def finding_public_id(key: int) -> str:
    """The opaque id of the finding with the 64-bit key ``key``."""
    return _FINDING_PREFIX + _finding_ids.encode([key])


def finding_key(public_id: str) -> int | None:
    """The key behind a finding's public id, or None when the text is not one that we gave out."""
    if not public_id.startswith(_FINDING_PREFIX):
        return None
    numbers = _finding_ids.decode(public_id.removeprefix(_FINDING_PREFIX))
    if len(numbers) != 1 or finding_public_id(numbers[0]) != public_id:
        return None
    return numbers[0]

"""Which customer a company is: matched where that is certain, left to a person where it is not. Pure decisions; ``storing`` carries
them out.

First comes ConnectWise's own id: a company that is linked stays linked, whatever it is called. Then the identifier and the name, as
they are equal to the eye. What is merely alike, or could be several, goes to the review list: a wrong link would show one customer's
data to another.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

#: why a person has to say which customer a company is
SAME_NAME, SEVERAL, SIMILAR, NAME_TAKEN, REPLACED, NEW = "same_name", "several", "similar", "name_taken", "replaced", "new"
REASONS = {
    SAME_NAME: "Another company in ConnectWise has the same name",
    SEVERAL: "Its name and its identifier fit different customers",
    SIMILAR: "Its name is like that of a customer, but not the same",
    NAME_TAKEN: "A customer of the same name is another company already",
    REPLACED: "A removed company of another name had the same identifier",
    NEW: "No customer looks like it",
}
#: what a person decided that matching has to leave alone
IGNORED, UNLINKED = "ignored", "unlinked"
MOST_CANDIDATES = 5
_LEGAL_FORMS = frozenset((
    "ab", "ag", "ans", "aps", "as", "asa", "bv", "co", "company", "corp", "corporation", "da", "gmbh", "inc", "incorporated", "kb", "kg",
    "limited", "llc", "lp", "ltd", "nv", "oy", "oyj", "plc", "pty", "sa", "sarl", "sas", "se", "spa", "srl", "the", "und"))
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A company that is nobody's yet.

    :ivar is_named_elsewhere: whether another company is named what is this one's identifier; it says nothing then.
    :ivar twins: the customers (None: nobody's either) of other companies with a name equal to the eye.
    :ivar holder: the customer with a name equal to the eye.
    :ivar heir_of: the customer of a removed company with the same identifier; ``heir_by_name`` when that had the same name as well.
    """

    name: str
    name_key: str
    identifier: str
    identifier_key: str
    is_named_elsewhere: bool = False
    twins: Sequence[str | None] = ()
    holder: str | None = None
    heir_of: str | None = None
    heir_by_name: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a company: the customer that it is, a new customer, or a reason for review with the customers that it may be."""

    customer_id: str | None = None
    is_new: bool = False
    review: str = ""
    candidates: tuple[str, ...] = ()


class Matcher:
    """Decides about companies one after the other; a customer that was given away is no longer free.

    :param free: the keys of the names of customers that are no company yet, by their ids.
    :param creates: whether a company that nobody looks like becomes a new customer.
    """

    def __init__(self, free: Mapping[str, str], creates: bool) -> None:
        self._creates = creates
        self._by_key = {key: customer_id for customer_id, key in free.items()}
        self._key_of = dict(free)
        self._alike: dict[str, list[str]] = {}
        for customer_id, key in free.items():
            for form in loose_forms(key):
                self._alike.setdefault(form, []).append(customer_id)

    def decide(self, company: Candidate) -> Decision:
        """What becomes of this company."""
        decision = self._decided(company)
        if decision.customer_id in self._key_of:
            del self._by_key[self._key_of.pop(decision.customer_id)]
        return decision

    def _decided(self, company: Candidate) -> Decision:
        if company.heir_of is not None:
            if company.heir_by_name and not company.twins:
                return Decision(company.heir_of)
            return _doubtful(REPLACED, [company.heir_of, company.holder])
        keys = (company.name_key,) if company.is_named_elsewhere else (company.name_key, company.identifier_key)
        exact = list(dict.fromkeys(self._by_key[key] for key in keys if key in self._by_key))
        if company.twins:
            return _doubtful(SAME_NAME, [*exact, company.holder, *company.twins])
        if len(exact) > 1:
            return _doubtful(SEVERAL, exact)
        if company.holder is not None and company.holder not in self._key_of:
            return _doubtful(NAME_TAKEN, [*exact, company.holder])
        if exact:
            return Decision(exact[0])
        if alike := self._similar(company):
            return _doubtful(SIMILAR, alike)
        return Decision(is_new=True) if self._creates else _doubtful(NEW, ())

    def _similar(self, company: Candidate) -> list[str]:
        forms = loose_forms(company.name_key) | loose_forms(company.identifier_key)
        found = {customer_id for form in forms for customer_id in self._alike.get(form, ()) if customer_id in self._key_of}
        return sorted(found)


def _doubtful(reason: str, candidates: Iterable[str | None]) -> Decision:
    known = list(dict.fromkeys(candidate for candidate in candidates if candidate is not None))
    return Decision(review=reason, candidates=tuple(known[:MOST_CANDIDATES]))


def loose_forms(key: str) -> set[str]:
    """The forms in which names that are only alike are equal: without accents and whatever is no letter or digit, with and without the
    words for legal forms. ``Blåfjell A/S`` and ``blafjellas`` share one."""
    plain = "".join(character for character in unicodedata.normalize("NFKD", key.translate(_LETTERS))
                    if not unicodedata.combining(character))
    words = _WORD.findall(plain.replace("/", "").replace(".", "").replace("&", " and "))
    kept = [word for word in words if word not in _LEGAL_FORMS]
    return {form for form in ("".join(words), "".join(kept)) if form}


_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "đ": "d", "ł": "l", "ß": "ss", "þ": "th", "ð": "d"})

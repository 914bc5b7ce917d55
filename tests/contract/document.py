"""The v1 document as data: every block of it with its access rule, requests and answers, and how an answer is compared with one.

In the examples a text with three dots in it, a moment, and what is said to be encrypted stand for any text of the kind; ``{...}``
and ``[...]`` for any object or list.
"""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_STANDS_FOR_ANY = re.compile(r"\.\.\.|^ckx|^base64|^src/|^https://|^AKIA|^wJalr|^sk_live|^newSecret|^eyJ")
_OBJECT, _LIST, _OTHERS = "{...}", "[...]", "..."


@dataclass(frozen=True, slots=True)
class Block:
    """One documented operation.

    :ivar signed_in: ``access token``, ``refresh token`` or ``nobody``.
    :ivar path: with its variables as ``:name``.
    """

    title: str
    method: str
    path: str
    signed_in: str
    nodes: tuple[str, ...]
    requests: tuple[dict[str, Any], ...]
    responses: tuple[dict[str, Any], ...]

    @property
    def rule(self) -> str:
        """The path without the names of its variables."""
        return re.sub(r":\w+", "<>", self.path)


def blocks() -> list[Block]:
    told = json.loads(Path(__file__).with_name("v1_document.json").read_text(encoding="utf-8"))
    return [Block(**{name: tuple(value) if isinstance(value, list) else value for name, value in block.items()}) for block in told]


def misfits(example: Any, answer: Any, beside: Collection[str] = (), at: str = "$") -> Iterator[str]:
    """Where an answer is not what the example shows.

    :param beside: names that the answer may have and the document does not know; existing clients pass them over.
    """
    if example == _OBJECT:
        yield from [] if isinstance(answer, dict) else [f"{at} is no object"]
    elif example == _LIST:
        yield from [] if isinstance(answer, list) else [f"{at} is no list"]
    elif isinstance(example, dict):
        yield from _misfits_of_object(example, answer, beside, at)
    elif isinstance(example, list):
        yield from _misfits_of_list(example, answer, beside, at)
    elif not _is_like(example, answer):
        yield f"{at} is {answer!r}, not {example!r}"


def _misfits_of_object(example: dict[str, Any], answer: Any, beside: Collection[str], at: str) -> Iterator[str]:
    if not isinstance(answer, dict):
        yield f"{at} is no object"
        return
    yield from (f"{at}.{name} is missing" for name in example if name not in answer and name != _OTHERS)
    if _OTHERS not in example:
        yield from (f"{at}.{name} is not in the document" for name in answer if name not in example and name not in beside)
    for name in example.keys() & answer.keys():
        yield from misfits(example[name], answer[name], beside, f"{at}.{name}")


def _misfits_of_list(example: list[Any], answer: Any, beside: Collection[str], at: str) -> Iterator[str]:
    """A list of objects is a sample: each shown one has to be there, and all that are there have to be like one that is shown."""
    if not isinstance(answer, list):
        yield f"{at} is no list"
    elif not all(isinstance(item, dict) for item in example):
        like = len(example) == len(answer) and all(map(_is_like, example, answer))
        yield from [] if like or all(map(_stands_for_any, example)) else [f"{at} is {answer!r}, not {example!r}"]
    else:
        for number, item in enumerate(example):
            if all(any(misfits(item, other, beside)) for other in answer):
                nearest = answer[number] if number < len(answer) else None
                yield from misfits(item, nearest, beside, f"{at}[{number}]")
        names = [set(item) for item in example]
        yield from (f"{at} has one with {sorted(other)}" for other in answer
                    if not any(known <= set(other) <= known | set(beside) for known in names))


def _is_like(example: Any, answer: Any) -> bool:
    if example is None:
        return answer is None or isinstance(answer, str)
    if isinstance(example, bool) or not isinstance(example, (str, int)):
        return example == answer
    if isinstance(example, int):
        return isinstance(answer, int) and not isinstance(answer, bool)
    if _MOMENT.fullmatch(example):
        return isinstance(answer, str) and _MOMENT.fullmatch(answer) is not None
    return example == answer or (_stands_for_any(example) and isinstance(answer, str))


def _stands_for_any(example: Any) -> bool:
    return isinstance(example, str) and _STANDS_FOR_ANY.search(example) is not None

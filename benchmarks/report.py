"""Figures with their bounds, printed as a table."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. ``is_met`` is None when it has no bound."""

    what: str
    value: str
    bound: str = ""
    is_met: bool | None = None


@dataclass(slots=True)
class Report:
    figures: list[Figure] = field(default_factory=list)

    def add(self, what: str, value: str, bound: str = "", is_met: bool | None = None) -> None:
        mark = {True: "met", False: "MISSED", None: ""}[is_met]
        self.figures.append(Figure(what, value, bound, is_met))
        print(f"  {what:<74} {value:>26}  {bound:<22} {mark}", flush=True)

    def at_least(self, what: str, value: float, bound: float, told: str) -> None:
        self.add(what, told, f"at least {bound:g}", value >= bound)

    def at_most(self, what: str, value: float, bound: float, told: str) -> None:
        self.add(what, told, f"at most {bound:g}", value <= bound)

    @property
    def missed(self) -> list[Figure]:
        return [figure for figure in self.figures if figure.is_met is False]


def seconds(work: Callable[[], Any]) -> float:
    """How long ``work`` takes, by the wall."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def p95(values: Sequence[float]) -> float:
    return quantiles(values, n=20)[-1]


def median(values: Sequence[float]) -> float:
    return quantiles(values, n=2)[0]

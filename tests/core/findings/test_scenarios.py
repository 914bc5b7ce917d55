"""What decisions and identities go through in the life of a source: each scenario a sequence of steps and what is there in the end.

Drawn from what users of other tools report: accepted findings that a re-import closes, fixed ones that return as new, reports that
close and recreate everything, duplicates over branches, ids that a source gives anew.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from core import clock
from core.assets import catalog
from core.assets.models import Asset
from core.connections import engine, runs
from core.connections.models import Run
from core.db import db
from core.findings import settling, store, verdicts
from core.findings.models import AssetDue, Finding, FindingEvent, Verdict
from core.findings.service import Filter
from core.findings.settling import Target
from core.findings.state import Status, VerdictKind
from core.findings.verdicts import Decision
from core.hooks.contracts import Severity, SourceState, Unmapped
from core.hooks.failures import UpstreamUnavailable
from core.ids import finding_public_id
from tests import scripted, syncing
from tests.scripted import finding as f

BROKEN = UpstreamUnavailable("page 2 answered 503")
NONE = None
Place = str  # "asset/key", or the key alone in the asset "shop"


@dataclass
class Play:
    """A scenario under way."""

    deployment: Any
    scope: Any
    connection: Any
    world: Any
    born: dict[Place, int] = field(default_factory=dict)  # the row that each place was first seen as
    first_seen: dict[int, int] = field(default_factory=dict)
    run: Run | None = None

    def rows(self) -> dict[Place, Finding]:
        names = {asset.id: asset.external_key for asset in Asset.select()}
        rows = Finding.select().where(Finding.customer_id == self.scope.customer_id)
        return {f"{names[row.asset_id]}/{row.source_key}": row for row in rows}

    def note_births(self) -> None:
        for place, row in self.rows().items():
            self.born.setdefault(place, row.id)
            self.first_seen.setdefault(row.id, row.first_seen_at)

    def asset(self, key: str) -> Asset:
        return Asset.get(Asset.external_key == key, Asset.customer_id == self.scope.customer_id)


Step = Callable[[Play], None]


# -- steps ------------------------------------------------------------------------------------------------------------------


def pull(*shop: Any, **others: list) -> Step:
    """A sync in which the source has these findings, in the asset "shop" and in others."""
    def step(play: Play) -> None:
        play.world.assets = {"shop": list(shop), **others}
        play.run = syncing.sync(play.deployment, play.connection)
    return step


def pull_without_shop(**others: list) -> Step:
    def step(play: Play) -> None:
        play.world.assets = others
        play.run = syncing.sync(play.deployment, play.connection)
    return step


def branches(**lineages: str) -> Step:
    """From now on these assets are branches (or tags) of these lineages."""
    return lambda play: play.world.lineages.update(lineages)


def decide(kind: str, *places: Place, until: int | None = None, reason: str = "The risk is known") -> Step:
    """Somebody decides about findings; ``until`` in days from now."""
    def step(play: Play) -> None:
        rows = play.rows()
        keys = verdicts.keys_by_id(play.scope, [finding_public_id(rows[whole(place)].id) for place in places])
        verdicts.decide(play.scope, keys, Decision(VerdictKind(kind), reason, in_days(until)), actor="anna")
    return step


def decide_by_filter(kind: str, **wanted: Any) -> Step:
    return lambda play: verdicts.decide(play.scope, verdicts.keys_by_filter(play.scope, Filter(**wanted)),
                                        Decision(VerdictKind(kind), "All of these"), actor="anna") and None


def decide_about(kind: str, until: int | None = None, **target: str) -> Step:
    """Somebody decides about an asset (``asset="shop"``), a rule or a CVE."""
    def step(play: Play) -> None:
        decision = Decision(VerdictKind(kind), "So decided", in_days(until))
        verdicts.decide_broadly(play.scope, the(play, target), decision, actor="anna")
    return step


def end_decision_about(**target: str) -> Step:
    return lambda play: verdicts.reopen_broadly(play.scope, the(play, target), actor="berta") and None


def the(play: Play, target: dict[str, str]) -> Target:
    if "asset" in target:
        return verdicts.check_target(play.scope, Target("asset", asset_id=play.asset(target["asset"]).id))
    return Target("rule", source="scripted", rule_key=target["rule"]) if "rule" in target else Target("cve", cve=target["cve"])


def reopen(*places: Place) -> Step:
    def step(play: Play) -> None:
        rows = play.rows()
        verdicts.reopen(play.scope, [rows[whole(place)].id for place in places], actor="berta")
    return step


def days_pass(days: int) -> Step:
    """So late that acceptances run out; nothing else depends on the hour."""
    return lambda play: settling.expire(clock.now() + days * clock.DAY) and None


def plugin(on: bool) -> Step:
    def step(play: Play) -> None:
        (play.deployment.plugins.enable if on else play.deployment.plugins.disable)("scripted", "test")
    return step


def restore(asset: str) -> Step:
    return lambda play: catalog.restore(play.scope.customer_id, play.asset(asset).id) and None


def approve(play: Play) -> None:
    assert play.run is not None
    assert play.run.state == "held"
    runs.approve(play.deployment, play.scope, play.run.id, actor="anna")
    engine.execute(play.deployment, play.run.id)


def discard(play: Play) -> None:
    assert play.run is not None
    runs.discard(play.scope, play.run.id, actor="anna")


def ended(state: str) -> Step:
    """The last run ended so."""
    def step(play: Play) -> None:
        assert play.run is not None
        assert play.run.state == state
    return step


def in_days(days: int | None) -> int | None:
    return None if days is None else clock.now() + days * clock.DAY


def whole(place: Place) -> Place:
    return place if "/" in place else f"shop/{place}"


# -- what is there in the end --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """:ivar ends: place to effective state, or to state and verdict where these differ from "open, none" and "the verdict's state".
    :ivar was: place to the place that the same finding was first seen at; the others have not moved.
    :ivar told: place to the kinds of events in its history, in order.
    :ivar is_settled: an identical pull once more changes nothing; not when the last one was cut short.
    """

    name: str
    steps: list[Step]
    ends: dict[Place, str | tuple[str, str | None]]
    was: dict[Place, Place] = field(default_factory=dict)
    told: dict[Place, list[str]] = field(default_factory=dict)
    is_settled: bool = True


def many(number: int, prefix: str = "k") -> list:
    return [f(f"{prefix}{index}", fingerprint=f"print {index}", line=index + 1) for index in range(number)]


OLD, NEW = {"fingerprint": "same", "line": 10}, {"fingerprint": "same", "line": 14}
BRANCHES = branches(shop="acme/shop", **{"shop@dev": "acme/shop", "shop@next": "acme/shop"})

SCENARIOS = [
    # accepted findings and re-imports
    Scenario("an identical report closes and recreates nothing", [pull(f("a"), f("b")), pull(f("a"), f("b"))],
             {"a": "open", "b": "open"}, told={"a": [], "b": []}),
    Scenario("an accepted finding is not closed by a re-import of the same report", [pull(f("a")), decide("accepted", "a"), pull(f("a"))],
             {"a": ("accepted", "accepted")}, told={"a": ["decided"]}),
    Scenario("a false positive is not reactivated by a re-import", [
        pull(f("a")), decide("false_positive", "a"), pull(f("a")), pull(f("a"))], {"a": ("false_positive", "false_positive")}),
    Scenario("an ignored finding stays ignored when its description changes", [
        pull(f("a")), decide("ignored", "a"), pull(f("a", description="More words"))], {"a": ("ignored", "ignored")}),
    Scenario("an accepted finding that is fixed counts as fixed and keeps its acceptance", [
        pull(f("a"), f("b")), decide("accepted", "a"), pull(f("b"))], {"a": ("gone", "accepted"), "b": "open"},
        told={"a": ["decided", "closed"]}),
    Scenario("an accepted finding that the source calls fixed counts as fixed", [
        pull(f("a")), decide("accepted", "a"), pull(f("a", state=SourceState.FIXED))], {"a": ("fixed", "accepted")}),
    Scenario("an accepted finding that was fixed and returns is accepted again", [
        pull(f("a"), f("b")), decide("accepted", "a"), pull(f("b")), pull(f("a"), f("b"))], {"a": ("accepted", "accepted"), "b": "open"},
        told={"a": ["decided", "closed", "reopened"]}),
    Scenario("a fixed finding that returns is the same finding, not a new one", [pull(f("a"), f("b")), pull(f("b")), pull(f("a"), f("b"))],
             {"a": "open", "b": "open"}, told={"a": ["closed", "reopened"]}),
    Scenario("a finding that flaps is one finding with all of its history", [
        pull(f("a"), f("b")), pull(f("b")), pull(f("a"), f("b")), pull(f("b")), pull(f("a"), f("b"))], {"a": "open", "b": "open"},
        told={"a": ["closed", "reopened", "closed", "reopened"]}),
    Scenario("somebody decides about a finding while it is fixed, and it returns", [
        pull(f("a"), f("b")), pull(f("b")), decide("false_positive", "a"), pull(f("a"), f("b"))],
        {"a": ("false_positive", "false_positive"), "b": "open"}, told={"a": ["closed", "decided", "reopened"]}),
    Scenario("a reopened finding stays open over re-imports", [
        pull(f("a")), decide("accepted", "a"), reopen("a"), pull(f("a")), pull(f("a"))], {"a": "open"},
        told={"a": ["decided", "verdict_ended"]}),
    Scenario("the last of two people decides", [pull(f("a")), decide("accepted", "a"), decide("false_positive", "a"), pull(f("a"))],
             {"a": ("false_positive", "false_positive")}, told={"a": ["decided", "decided"]}),
    Scenario("a severity that rises after the acceptance does not end it", [
        pull(f("a", Severity.LOW)), decide("accepted", "a"), pull(f("a", Severity.CRITICAL))], {"a": ("accepted", "accepted")},
        told={"a": ["decided", "changed"]}),
    Scenario("a verdict by filter holds over a re-import, and not for what comes later", [
        pull(f("a", Severity.LOW), f("b")), decide_by_filter("ignored", severities=(Severity.LOW,)),
        pull(f("a", Severity.LOW), f("b"), f("c", Severity.LOW))], {"a": ("ignored", "ignored"), "b": "open", "c": "open"}),
    # what the source dismisses itself
    Scenario("a verdict stands over what somebody dismissed in the source", [
        pull(f("a")), decide("false_positive", "a"), pull(f("a", state=SourceState.ACCEPTED)), pull(f("a"))],
        {"a": ("false_positive", "false_positive")}, told={"a": ["decided", "dismissed", "reopened"]}),
    Scenario("what the source accepted and takes back is open again", [pull(f("a", state=SourceState.ACCEPTED)), pull(f("a"))],
             {"a": "open"}, told={"a": ["reopened"]}),
    Scenario("a reopened finding shows again what the source says", [
        pull(f("a", state=SourceState.FALSE_POSITIVE)), decide("accepted", "a"), reopen("a")], {"a": ("false_positive", None)}),
    # places and ids that change
    Scenario("a moved line keeps the verdict", [pull(f("a", line=10)), decide("accepted", "a"), pull(f("a", line=99))],
             {"a": ("accepted", "accepted")}, told={"a": ["decided", "changed"]}),
    Scenario("a moved line that gives the finding another id keeps the verdict", [
        pull(f("a", **OLD)), decide("accepted", "a"), pull(f("b", **NEW))], {"b": ("accepted", "accepted")}, was={"b": "a"},
        told={"b": ["decided", "renamed"]}),
    Scenario("a renamed file keeps the verdict", [
        pull(f("old.py:1", fingerprint="x", path="old.py")), decide("false_positive", "old.py:1"),
        pull(f("new.py:1", fingerprint="x", path="new.py"))], {"new.py:1": ("false_positive", "false_positive")},
        was={"new.py:1": "old.py:1"}),
    Scenario("an advisory that gets another name and severity is the same finding", [
        pull(f("npm:1005325", Severity.LOW, fingerprint="GHSA", title="Old name")), decide("ignored", "npm:1005325"),
        pull(f("npm:1088000", Severity.HIGH, fingerprint="GHSA", title="New name"))], {"npm:1088000": ("ignored", "ignored")},
        was={"npm:1088000": "npm:1005325"}),
    Scenario("a source that changes all its ids at once closes and recreates nothing, and holds no run", [
        pull(*many(25)), decide("accepted", "k3"), decide("false_positive", "k7"), pull(*many(25, "n")), ended("succeeded")],
        {**{f"n{index}": "open" for index in range(25)}, "n3": ("accepted", "accepted"), "n7": ("false_positive", "false_positive")},
        was={f"n{index}": f"k{index}" for index in range(25)}),
    Scenario("a source that changes only some ids", [
        pull(*many(4)), decide("accepted", "k1"), pull(*many(4, "n")[:2], *many(4)[2:])],
        {"n0": "open", "n1": ("accepted", "accepted"), "k2": "open", "k3": "open"}, was={"n0": "k0", "n1": "k1"}),
    Scenario("a source that goes back to its earlier ids", [
        pull(f("a", **OLD)), decide("accepted", "a"), pull(f("b", **OLD)), pull(f("a", **OLD))], {"a": ("accepted", "accepted")},
        told={"a": ["decided", "renamed", "renamed"]}),
    Scenario("an earlier id is enough, though the code around has changed meanwhile", [
        pull(f("a", **OLD)), decide("accepted", "a"), pull(f("b", **OLD)), pull(f("a", fingerprint="other"))],
        {"a": ("accepted", "accepted")}),
    Scenario("a source that goes through three ids", [
        pull(f("a", **OLD)), decide("ignored", "a"), pull(f("b", **OLD)), pull(f("c", **NEW)), pull(f("b", fingerprint="none"))],
        {"b": ("ignored", "ignored")}, was={"b": "a"}),
    Scenario("another id without a fingerprint is another finding", [
        pull(f("a")), decide("accepted", "a"), pull(f("b"))], {"a": ("gone", "accepted"), "b": "open"}),
    Scenario("another id with another fingerprint is another finding", [
        pull(f("a", fingerprint="x")), decide("accepted", "a"), pull(f("b", fingerprint="y"))],
        {"a": ("gone", "accepted"), "b": "open"}),
    Scenario("a fixed finding that returns under another id is reopened", [
        pull(f("a", **OLD), f("x")), pull(f("x")), pull(f("b", **NEW), f("x"))], {"b": "open", "x": "open"}, was={"b": "a"},
        told={"b": ["closed", "renamed", "reopened"]}),
    Scenario("a verdict on a finding that disappears and returns under another id", [
        pull(f("a", **OLD), f("x")), decide("false_positive", "a"), pull(f("x")), pull(f("b", **NEW), f("x"))],
        {"b": ("false_positive", "false_positive"), "x": "open"}, was={"b": "a"}),
    Scenario("what vanished just now comes before what was fixed long ago", [
        pull(f("a", fingerprint="same", line=5), f("x")), pull(f("b", fingerprint="other"), f("x")),
        pull(f("b", fingerprint="same", line=90), f("x")), decide("accepted", "b"), pull(f("c", fingerprint="same", line=5), f("x"))],
        {"a": "gone", "c": ("accepted", "accepted"), "x": "open"}, was={"c": "b"}),
    Scenario("a finding that the source calls fixed and still lists is not taken for a new one", [
        pull(f("a", **OLD, state=SourceState.FIXED)), pull(f("a", **OLD, state=SourceState.FIXED), f("b", **NEW))],
        {"a": "fixed", "b": "open"}),
    Scenario("keys that swap keep their verdicts: the source's key is the first word", [
        pull(f("a", fingerprint="x"), f("b", fingerprint="y")), decide("accepted", "a"),
        pull(f("b", fingerprint="x"), f("a", fingerprint="y"))], {"a": ("accepted", "accepted"), "b": "open"}),
    # several findings with one fingerprint
    Scenario("a report that holds one finding twice, under two ids, closes neither when it comes again", [
        pull(f("a", **OLD), f("b", **OLD)), pull(f("a", **OLD), f("b", **OLD))], {"a": "open", "b": "open"}, told={"a": [], "b": []}),
    Scenario("of two with one fingerprint, the verdict follows the line when all ids change", [
        pull(f("a", fingerprint="same", line=10), f("b", fingerprint="same", line=50)), decide("accepted", "b"),
        pull(f("c", fingerprint="same", line=50), f("d", fingerprint="same", line=10))],
        {"c": ("accepted", "accepted"), "d": "open"}, was={"c": "b", "d": "a"}),
    Scenario("of two with one fingerprint that both move, each goes to the nearest line", [
        pull(f("a", fingerprint="same", line=10), f("b", fingerprint="same", line=50)), decide("accepted", "a"),
        pull(f("c", fingerprint="same", line=53), f("d", fingerprint="same", line=13))],
        {"c": "open", "d": ("accepted", "accepted")}, was={"c": "b", "d": "a"}),
    Scenario("of two with one fingerprint in two files, each stays in its file", [
        pull(f("a", fingerprint="same", path="a.py", line=10), f("b", fingerprint="same", path="b.py", line=10)), decide("accepted", "b"),
        pull(f("c", fingerprint="same", path="b.py", line=30), f("d", fingerprint="same", path="a.py", line=31))],
        {"c": ("accepted", "accepted"), "d": "open"}, was={"c": "b", "d": "a"}),
    Scenario("of two with one fingerprint, one is fixed while the ids change", [
        pull(f("a", fingerprint="same", line=10), f("b", fingerprint="same", line=50)), decide("accepted", "b"),
        pull(f("c", fingerprint="same", line=11))], {"c": "open", "b": ("gone", "accepted")}, was={"c": "a"}),
    Scenario("a new copy of accepted code is a finding of its own", [
        pull(f("a", **OLD)), decide("accepted", "a"), pull(f("a", **OLD), f("b", **NEW))], {"a": ("accepted", "accepted"), "b": "open"}),
    # pulls that break off, runs that are held
    Scenario("a pull that breaks off closes nothing and takes nothing for something else", [
        pull(f("a", **OLD), f("x")), decide("accepted", "a"), pull(f("b", **NEW), BROKEN)],
        {"a": ("accepted", "accepted"), "b": "open", "x": "open"}, is_settled=False),
    Scenario("the complete pull after it finds out what is what", [
        pull(f("a", **OLD), f("x")), decide("accepted", "a"), pull(f("b", **NEW), BROKEN), pull(f("b", **NEW), f("x"))],
        {"b": ("accepted", "accepted"), "x": "open"}, was={"b": "a"}),
    Scenario("several pulls break off before one is complete", [
        pull(f("a", **OLD)), decide("accepted", "a"), pull(f("b", **NEW), BROKEN), pull(BROKEN), pull(f("b", **NEW), BROKEN),
        pull(f("b", **NEW))], {"b": ("accepted", "accepted")}, was={"b": "a"}),
    Scenario("what was decided about the new id in between goes over to the finding", [
        pull(f("a", **OLD)), pull(f("b", **NEW), BROKEN), decide("false_positive", "b"), pull(f("b", **NEW))],
        {"b": ("false_positive", "false_positive")}, was={"b": "a"}, told={"b": ["decided", "renamed"]}),
    Scenario("of two decisions about what turns out to be one finding the newer holds", [
        pull(f("a", **OLD)), decide("accepted", "a"), pull(f("b", **NEW), BROKEN), decide("ignored", "b"), pull(f("b", **NEW))],
        {"b": ("ignored", "ignored")}, was={"b": "a"}),
    Scenario("a record that cannot be read closes nothing and takes nothing for something else", [
        pull(f("a", **OLD)), decide("accepted", "a"), pull(f("b", **NEW), Unmapped("KeyError: id"))],
        {"a": ("accepted", "accepted"), "b": "open"}),
    Scenario("a held run that is discarded leaves all as it was", [
        pull(*many(30)), decide("accepted", "k0"), pull(*many(30)[:5]), ended("held"), discard],
        {**{f"k{index}": "open" for index in range(30)}, "k0": ("accepted", "accepted")}, is_settled=False),
    Scenario("a held run that is approved later closes the accepted too, and they come back accepted", [
        pull(*many(30)), decide("accepted", "k29"), pull(*many(30)[:5]), ended("held"), approve, pull(*many(30))],
        {**{f"k{index}": "open" for index in range(30)}, "k29": ("accepted", "accepted")}, told={"k29": ["decided", "closed", "reopened"]}),
    Scenario("somebody decides while a run is held", [
        pull(*many(30)), pull(*many(30)[:5]), ended("held"), decide("accepted", "k0", "k29"), approve],
        {"k0": ("accepted", "accepted"), "k29": ("gone", "accepted"), **{f"k{index}": "open" for index in range(1, 5)},
         **{f"k{index}": "gone" for index in range(5, 29)}}),
    # branches and tags
    Scenario("a new branch takes over what was decided", [
        BRANCHES, pull(f("a", **OLD), f("x", fingerprint="x")), decide("accepted", "a"),
        pull(f("a", **OLD), f("x", fingerprint="x"), **{"shop@dev": [f("a2", **NEW), f("x2", fingerprint="x")]})],
        {"a": ("accepted", "accepted"), "x": "open", "shop@dev/a2": ("accepted", "accepted"), "shop@dev/x2": "open"},
        told={"shop@dev/a2": ["inherited"]}),
    Scenario("a new image tag takes over what was decided, as the old tag goes", [
        branches(shop="img", shop2="img"), pull(f("a", **OLD)), decide("false_positive", "a"), pull_without_shop(shop2=[f("b", **OLD)])],
        {"a": ("false_positive", "false_positive"), "shop2/b": ("false_positive", "false_positive")}),
    Scenario("duplicates over branches that are there already are decided about one by one", [
        BRANCHES, pull(f("a", **OLD), **{"shop@dev": [f("a", **OLD)]}), decide("accepted", "a"),
        pull(f("a", **OLD), **{"shop@dev": [f("a", **OLD)]})], {"a": ("accepted", "accepted"), "shop@dev/a": "open"}),
    Scenario("another project with the same code takes over nothing", [
        pull(f("a", **OLD)), decide("accepted", "a"), pull(f("a", **OLD), api=[f("a", **OLD)])],
        {"a": ("accepted", "accepted"), "api/a": "open"}),
    Scenario("a branch decides differently, and the other stays as it was", [
        BRANCHES, pull(f("a", **OLD)), decide("accepted", "a"), pull(f("a", **OLD), **{"shop@dev": [f("b", **NEW)]}),
        decide("false_positive", "shop@dev/b")], {"a": ("accepted", "accepted"), "shop@dev/b": ("false_positive", "false_positive")}),
    Scenario("reopened in a branch, it stays accepted where it was accepted", [
        BRANCHES, pull(f("a", **OLD)), decide("accepted", "a"), pull(f("a", **OLD), **{"shop@dev": [f("b", **NEW)]}),
        reopen("shop@dev/b")], {"a": ("accepted", "accepted"), "shop@dev/b": "open"},
        told={"shop@dev/b": ["inherited", "verdict_ended"]}),
    Scenario("reopened where it was accepted, it is reopened in the branches that took it over", [
        BRANCHES, pull(f("a", **OLD)), decide("accepted", "a"), pull(f("a", **OLD), **{"shop@dev": [f("b", **NEW)]}), reopen("a"),
        pull(f("a", **OLD), **{"shop@dev": [f("b", **NEW)], "shop@next": [f("c", **OLD)]})],
        {"a": "open", "shop@dev/b": "open", "shop@next/c": "open"}),
    Scenario("an acceptance that is renewed is renewed in the branches that took it over", [
        BRANCHES, pull(f("a", **OLD)), decide("accepted", "a", until=5), pull(f("a", **OLD), **{"shop@dev": [f("b", **NEW)]}),
        decide("accepted", "a", until=50), days_pass(6)], {"a": ("accepted", "accepted"), "shop@dev/b": ("accepted", "accepted")},
        told={"shop@dev/b": ["inherited", "decided"]}),
    Scenario("of two with one fingerprint a branch takes over the verdict of one", [
        BRANCHES, pull(f("a", fingerprint="same", line=10), f("b", fingerprint="same", line=50)), decide("accepted", "b"),
        pull(f("a", fingerprint="same", line=10), f("b", fingerprint="same", line=50),
             **{"shop@dev": [f("c", fingerprint="same", line=12), f("d", fingerprint="same", line=52)]})],
        {"a": "open", "b": ("accepted", "accepted"), "shop@dev/c": "open", "shop@dev/d": ("accepted", "accepted")}),
    Scenario("a branch takes over what was decided before the code moved", [
        BRANCHES, pull(f("a", fingerprint="before")), decide("accepted", "a"), pull(f("a", fingerprint="after")),
        pull(f("a", fingerprint="after"), **{"shop@dev": [f("b", fingerprint="after")]})],
        {"a": ("accepted", "accepted"), "shop@dev/b": ("accepted", "accepted")}),
    # acceptances that run out
    Scenario("an acceptance that runs out comes back by itself", [
        pull(f("a")), decide("accepted", "a", until=7), days_pass(6), days_pass(8), pull(f("a"))], {"a": "open"},
        told={"a": ["decided", "acceptance_expired"]}),
    Scenario("an acceptance without an end does not run out", [pull(f("a")), decide("accepted", "a"), days_pass(3650)],
             {"a": ("accepted", "accepted")}),
    Scenario("an acceptance that runs out while the finding is fixed leaves it open when it returns", [
        pull(f("a"), f("b")), decide("accepted", "a", until=7), pull(f("b")), days_pass(8), pull(f("a"), f("b"))],
        {"a": "open", "b": "open"}, told={"a": ["decided", "closed", "acceptance_expired", "reopened"]}),
    Scenario("an acceptance runs out in the branches that took it over too", [
        BRANCHES, pull(f("a", **OLD)), decide("accepted", "a", until=7), pull(f("a", **OLD), **{"shop@dev": [f("b", **NEW)]}),
        days_pass(8)], {"a": "open", "shop@dev/b": "open"}, told={"shop@dev/b": ["inherited", "acceptance_expired"]}),
    Scenario("an acceptance that runs out leaves what was decided about the asset", [
        pull(f("a"), f("b")), decide_about("ignored", asset="shop"), decide("accepted", "a", until=7), days_pass(8)],
        {"a": ("ignored", "ignored"), "b": ("ignored", "ignored")}, told={"a": ["decided", "decided", "acceptance_expired"]}),
    Scenario("an acceptance of an asset that runs out brings all of it back", [
        pull(f("a"), f("b")), decide_about("accepted", until=7, asset="shop"), decide("false_positive", "b"), days_pass(8)],
        {"a": "open", "b": ("false_positive", "false_positive")}),
    Scenario("a finding that is renamed keeps the end of its acceptance", [
        pull(f("a", **OLD)), decide("accepted", "a", until=7), pull(f("b", **NEW)), days_pass(8)], {"b": "open"}, was={"b": "a"},
        told={"b": ["decided", "renamed", "acceptance_expired"]}),
    # assets, rules, CVEs
    Scenario("a verdict on an asset covers what comes later, and nothing elsewhere", [
        pull(f("a"), api=[f("a")]), decide_about("accepted", asset="shop"), pull(f("a"), f("b"), api=[f("a"), f("b")])],
        {"a": ("accepted", "accepted"), "b": ("accepted", "accepted"), "api/a": "open", "api/b": "open"}, told={"b": ["inherited"]}),
    Scenario("a verdict on a finding stands above one on its asset, whichever came first", [
        pull(f("a"), f("b"), f("c")), decide("false_positive", "a"), decide_about("accepted", asset="shop"), decide("ignored", "b")],
        {"a": ("false_positive", "false_positive"), "b": ("ignored", "ignored"), "c": ("accepted", "accepted")}),
    Scenario("reopened itself, a finding stands again as its asset was decided about", [
        pull(f("a")), decide_about("accepted", asset="shop"), decide("false_positive", "a"), reopen("a")], {"a": ("accepted", "accepted")}),
    Scenario("what was decided about an asset cannot be ended for one finding", [
        pull(f("a"), f("b")), decide_about("accepted", asset="shop"), reopen("a")],
        {"a": ("accepted", "accepted"), "b": ("accepted", "accepted")}),
    Scenario("the end of a verdict on an asset leaves those on its findings", [
        pull(f("a"), f("b")), decide("false_positive", "a"), decide_about("accepted", asset="shop"), end_decision_about(asset="shop")],
        {"a": ("false_positive", "false_positive"), "b": "open"}, told={"b": ["decided", "verdict_ended"]}),
    Scenario("a verdict on a rule covers all assets, those that come later too", [
        pull(f("a", rule="r"), f("b", rule="s")), decide_about("ignored", rule="r"),
        pull(f("a", rule="r"), f("b", rule="s"), api=[f("c", rule="r")])],
        {"a": ("ignored", "ignored"), "b": "open", "api/c": ("ignored", "ignored")}),
    Scenario("a finding whose rule changes leaves the verdict on the rule", [
        pull(f("a", rule="r")), decide_about("ignored", rule="r"), pull(f("a", rule="s"))], {"a": "open"},
        told={"a": ["decided", "changed"]}),
    Scenario("a verdict on a CVE covers findings that name it among others", [
        pull(f("a", cve=("CVE-2021-44228", "CVE-2021-45046")), f("b", cve=("CVE-2021-4422",))),
        decide_about("false_positive", cve="CVE-2021-44228"),
        pull(f("a", cve=("CVE-2021-44228", "CVE-2021-45046")), f("b", cve=("CVE-2021-4422",)), api=[f("c", cve=("CVE-2021-44228",))])],
        {"a": ("false_positive", "false_positive"), "b": "open", "api/c": ("false_positive", "false_positive")}),
    Scenario("a finding that comes to name an accepted CVE is accepted", [
        pull(f("a")), decide_about("accepted", cve="CVE-2021-44228"), pull(f("a", cve=("CVE-2021-44228",)))],
        {"a": ("accepted", "accepted")}),
    Scenario("a verdict on the asset stands above one on the rule, whichever is newer", [
        pull(f("a", rule="r")), decide_about("accepted", asset="shop"), decide_about("ignored", rule="r")],
        {"a": ("accepted", "accepted")}),
    Scenario("between a rule and a CVE the newer verdict holds, and the older when that ends", [
        pull(f("a", rule="r", cve=("CVE-2021-44228",)), f("b", rule="r", cve=("CVE-2021-44228",))), decide_about("ignored", rule="r"),
        decide_about("accepted", cve="CVE-2021-44228"), decide("false_positive", "b"), end_decision_about(cve="CVE-2021-44228")],
        {"a": ("ignored", "ignored"), "b": ("false_positive", "false_positive")}, told={"a": ["decided", "decided", "verdict_ended"]}),
    Scenario("another verdict on the same asset takes the place of the first", [
        pull(f("a")), decide_about("accepted", asset="shop"), decide_about("false_positive", asset="shop"),
        end_decision_about(asset="shop")], {"a": "open"}, told={"a": ["decided", "decided", "verdict_ended"]}),
    Scenario("a renamed finding stays under the verdict on its rule", [
        pull(f("a", rule="r", **OLD)), decide_about("ignored", rule="r"), pull(f("b", rule="r", **NEW))], {"b": ("ignored", "ignored")},
        was={"b": "a"}, told={"b": ["decided", "renamed"]}),
    # sources that are switched off, assets that go
    Scenario("a plugin that is switched off and on leaves every verdict", [
        pull(f("a"), f("b")), decide("accepted", "a"), plugin(on=False), plugin(on=True), pull(f("a"), f("b"))],
        {"a": ("accepted", "accepted"), "b": "open"}, told={"a": ["decided"], "b": []}),
    Scenario("an acceptance runs out while the plugin is off", [
        pull(f("a")), decide("accepted", "a", until=7), plugin(on=False), days_pass(8), plugin(on=True), pull(f("a"))], {"a": "open"}),
    Scenario("a rule is decided about while the plugin is off", [
        pull(f("a", rule="r")), plugin(on=False), decide_about("ignored", rule="r"), plugin(on=True), pull(f("a", rule="r"))],
        {"a": ("ignored", "ignored")}),
    Scenario("a project that vanishes and is restored has its verdicts", [
        pull(f("a"), f("b"), api=[]), decide("accepted", "a"), pull_without_shop(api=[]), restore("shop"), pull(f("a"), f("b"), api=[])],
        {"a": ("accepted", "accepted"), "b": "open"}, told={"a": ["decided"]}),
    Scenario("a project that vanishes and comes back by itself has its verdicts", [
        pull(f("a"), api=[]), decide("accepted", "a"), pull_without_shop(api=[]), pull(f("a"), api=[])], {"a": ("accepted", "accepted")}),
    Scenario("a project that comes back with other ids has its verdicts", [
        pull(f("a", **OLD), api=[]), decide("accepted", "a"), pull_without_shop(api=[]), pull(f("b", **NEW), api=[])],
        {"b": ("accepted", "accepted")}, was={"b": "a"}),
]


def described(ending: str | tuple[str, str | None]) -> tuple[str, str | None]:
    return ending if isinstance(ending, tuple) else (ending, None)


@pytest.fixture
def play(database, redis_url, monkeypatch):
    monkeypatch.setattr(store, "BATCH", 1)  # what comes before a pull breaks off is stored, and nothing may depend on who is in one batch
    world = scripted.start_anew()
    deployment, scope = syncing.deployment_for(redis_url), syncing.customer("Acme")
    return Play(deployment, scope, syncing.connected(deployment, scope), world)


def test_there_are_enough_of_them_and_each_has_a_name_of_its_own():
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS) >= 40


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name.replace(" ", "-"))
def test_scenario(play, scenario):
    for number, step in enumerate(scenario.steps):
        step(play)
        play.note_births()
        assert syncing.rollups_are_right(), f"after step {number}"
    check(play, scenario)
    if scenario.is_settled:
        before = contents()
        again = syncing.sync(play.deployment, play.connection)
        assert {name: again.counts.get(name, 0) for name in ("added", "changed", "closed", "reopened", "renamed")} == {
            "added": 0, "changed": 0, "closed": 0, "reopened": 0, "renamed": 0}
        assert contents() == before


def check(play: Play, scenario: Scenario) -> None:
    rows = play.rows()
    assert {place: (row.status, row.verdict) for place, row in rows.items()} == {
        whole(place): described(ending) for place, ending in scenario.ends.items()}
    born = {whole(now): whole(then) for now, then in scenario.was.items()}
    assert {place: row.id for place, row in rows.items()} == {place: play.born[born.get(place, place)] for place in rows}
    assert all(row.first_seen_at == play.first_seen[row.id] for row in rows.values())
    for place, kinds in scenario.told.items():
        events = FindingEvent.select().where(FindingEvent.finding_id == rows[whole(place)].id).order_by(FindingEvent.id)
        assert [event.kind for event in events] == kinds, place
    in_force = {verdict.id: verdict.kind for verdict in Verdict.select().where(Verdict.ended_at.is_null())}
    for row in rows.values():
        assert in_force.get(row.verdict_id) == row.verdict
        assert (row.paused_since is not None) == (row.status == Status.ACCEPTED)
    assert not Verdict.select().where(Verdict.settled_at.is_null(), Verdict.ended_at.is_null()).exists()
    assert AssetDue.select().count() == 0


def contents() -> list:
    tables = ("finding", "finding_event", "finding_key", "verdict")
    return [sorted(map(str, db.execute_sql(f'SELECT * FROM "{table}"').fetchall())) for table in tables]

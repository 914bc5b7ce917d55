import pytest

from core import clock
from web import words

NOW = 1_767_225_600_000  # 1 January 2026


@pytest.mark.parametrize(("distance", "said"), [
    (0, "just now"), (59 * clock.SECOND, "just now"), (5 * clock.MINUTE, "5 min ago"), (59.4 * clock.MINUTE, "59 min ago"),
    (59.6 * clock.MINUTE, "1 h ago"), (23.4 * clock.HOUR, "23 h ago"), (23.6 * clock.HOUR, "1 day ago"), (6 * clock.DAY, "6 days ago"),
    (7 * clock.DAY, "25 Dec 2025"), (-clock.SECOND, "any moment"), (-6 * clock.HOUR + 1, "in 6 h"),
])
def test_moments_are_told_from_now(distance: float, said: str) -> None:
    assert words.ago(NOW - int(distance), NOW) == said


def test_a_moment_that_never_was_is_never() -> None:
    assert words.ago(None) == "never"


@pytest.mark.parametrize(("minutes", "said"), [
    (None, "Only when asked"), (15, "Every 15 minutes"), (60, "Every hour"), (90, "Every 90 minutes"), (360, "Every 6 hours"),
    (1440, "Every day"), (10080, "Every week"),
])
def test_schedules_are_told_in_their_largest_unit(minutes: int | None, said: str) -> None:
    assert words.every(minutes) == said


@pytest.mark.parametrize(("part", "whole", "said"), [(1, 4, "25\u2009%"), (1, 1000, "<1\u2009%"), (0, 0, "0\u2009%"), (3, 3, "100\u2009%")])
def test_little_is_not_told_as_nothing(part: int, whole: int, said: str) -> None:
    assert words.share(part, whole) == said


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "", "http://[broken"])
def test_only_addresses_of_the_web_become_links(url: str) -> None:
    assert words.web_link(url) == ""


def test_a_rules_text_keeps_its_form_and_loses_what_acts_or_is_loaded_from_elsewhere() -> None:
    text = words.safe_html('<h2 onclick="x()">Why</h2><script>y()</script><img src="https://elsewhere.example/p.png"><pre>a &lt; b</pre>'
                           '<a href="javascript:z()">one</a><a href="https://cwe.mitre.org/">two</a><p style="color:red">three</p>')
    assert "<h2>Why</h2>" in text
    assert "<pre>a &lt; b</pre>" in text
    assert not any(word in text for word in ("onclick", "script", "img", "javascript", "style"))
    assert 'rel="noopener noreferrer nofollow"' in text


def test_a_state_that_nobody_knows_is_still_told() -> None:
    assert words.state_of_run("put_off") == words.Word("Put off", "neutral")


def test_a_sync_is_named_by_its_source() -> None:
    assert words.actor("sync:sonarqube", {"sonarqube": "SonarQube"}) == "Sync of SonarQube"
    assert words.actor("ada@example.test", {}) == "ada@example.test"


@pytest.mark.parametrize(("days", "text", "tone"), [
    (-400, "400 days overdue", "bad"), (-1, "1 day overdue", "bad"), (0, "Due today", "warn"), (1, "Due tomorrow", "warn"),
    (7, "Due in 7 days", "warn"), (8, "Due 9 Jan 2026", "neutral"),
])
def test_due_days_are_told_from_today(days: int, text: str, tone: str) -> None:
    today = NOW // clock.DAY
    assert words.due(today + days, today) == (text, tone)


@pytest.mark.parametrize(("length", "said"), [(40 * clock.DAY, "40 days left"), (clock.DAY, "1 day left"), (clock.MINUTE, "1 min left"),
                                              (clock.SECOND, "ends now"), (-clock.DAY, "ends now")])
def test_what_ends_by_itself_is_told_with_the_time_that_is_left(length: int, said: str) -> None:
    assert words.left(NOW + length, NOW) == said


def test_a_change_of_severity_is_told_in_words() -> None:
    assert [words.changed_value(value, "severity") for value in (4, 0)] == ["Critical", "Info"]
    assert [words.changed_value(value, "line") for value in (12, None, "")] == ["12", "nothing", "nothing"]

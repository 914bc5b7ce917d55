from collections.abc import Sequence
from typing import Any

from marshmallow import fields, validate

from core.connections.models import Connection
from core.hooks.contracts import SettingsSchema
from web import forms


class Settings(SettingsSchema):
    url = fields.Str(load_default="https://source.example", metadata={"label": "Address"})
    token = fields.Str(required=True, metadata={"label": "Token", "secret": True})
    secret = fields.Str(load_default="", metadata={"secret": True})
    days = fields.Int(load_default=30)
    mode = fields.Str(load_default="a", validate=validate.OneOf(("a", "b"), labels=("First", "Second")))
    deep = fields.Bool(load_default=False)
    notes = fields.Str(load_default="", metadata={"multiline": True})
    version = fields.Str(load_default="2", metadata={"emptiable": True})


class Source:
    """As much of a connector as a form needs."""

    source, title, description = "source", "Source", ""
    aliases: Sequence[str] = ()
    settings_schema: type[SettingsSchema] = Settings

    def open(self, settings: Any, upstream: Any) -> Any:
        raise NotImplementedError


CONNECTION = Connection(settings={"url": "https://mine.example", "days": 7, "mode": "b", "deep": True, "notes": ""})


def shown(connection: Connection | None = None, stored: frozenset[str] = frozenset(), typed: dict | None = None,
          faults: dict | None = None) -> dict[str, forms.FormField]:
    return {field.name: field for field in forms.shown(Source(), connection, stored, typed, faults or {})}


def test_each_kind_of_setting_gets_its_kind_of_field() -> None:
    assert {name: field.kind for name, field in shown().items()} == {
        "url": "text", "token": "secret", "secret": "secret", "days": "number", "mode": "choice", "deep": "checkbox", "notes": "multiline",
        "version": "text"}
    assert shown()["mode"].choices == (("a", "First"), ("b", "Second"))


def test_a_new_form_shows_defaults_and_a_stored_one_what_is_stored() -> None:
    assert [shown()[name].value for name in ("url", "days", "mode", "deep")] == ["https://source.example", 30, "a", False]
    assert [shown(CONNECTION)[name].value for name in ("url", "days", "mode", "deep")] == ["https://mine.example", 7, "b", True]


def test_a_secret_is_never_shown_only_that_it_is_stored() -> None:
    field = shown(CONNECTION, frozenset({"token"}), typed={"token": "squ_secret"})["token"]
    assert field.is_stored
    assert field.value == ""


def test_what_was_refused_is_shown_again_with_its_faults() -> None:
    field = shown(CONNECTION, typed={"url": "nonsense"}, faults={"url": ["Not a valid URL."]})["url"]
    assert field.value == "nonsense"
    assert field.faults == ("Not a web address. It begins with https:// or http://.",)


def test_only_what_may_stay_empty_is_called_optional() -> None:
    assert [name for name, field in shown().items() if field.is_optional] == ["secret", "notes", "version"]


def test_an_empty_field_is_left_out_and_an_unticked_box_is_false() -> None:
    assert forms.typed(Source(), {"settings.url": " ", "settings.token": "", "settings.days": "5", "other": "x"}) == {
        "days": "5", "deep": False}


def test_a_field_with_a_default_may_be_emptied_where_that_means_something() -> None:
    assert forms.typed(Source(), {"settings.version": " "}) == {"deep": False, "version": ""}
    assert shown(typed={"version": ""})["version"].value == ""


def test_a_range_is_told_in_few_words() -> None:
    assert forms.sentences({"days": ["Must be greater than or equal to 1 and less than or equal to 30."]}) == ("From 1 to 30.",)


def test_a_secret_is_removed_only_when_its_box_is_ticked() -> None:
    assert forms.typed(Source(), {"remove.secret": "on"}) == {"deep": False, "secret": ""}
    assert forms.typed(Source(), {"remove.secret": "on", "settings.secret": "new"}) == {"deep": False, "secret": "new"}

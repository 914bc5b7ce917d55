"""The settings form of a connector: its fields as a page shows them, and what a browser sent back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import marshmallow
from marshmallow import fields, validate

from core.connections.models import Connection
from core.connections.service import form_of
from core.hooks.contracts import Connector

PREFIX, REMOVE = "settings.", "remove."

#: marshmallow's own sentences are for programmers
_KINDER = {"Missing data for required field.": "Please fill this in.",
           "Not a valid URL.": "Not a web address. It begins with https:// or http://.",
           "Not a valid integer.": "Not a whole number.", "Not a valid number.": "Not a number."}
_BETWEEN = re.compile(r"Must be greater than or equal to (\d+) and less than or equal to (\d+)\.")


@dataclass(frozen=True, slots=True)
class FormField:
    """:ivar kind: text, secret, number, choice, checkbox or multiline.
    :ivar is_optional: left empty it stays empty; false for what is required, and for what a default fills in.
    :ivar is_stored: a secret that has a value, which is never shown.
    :ivar choices: value and label of each, for a choice."""

    name: str
    label: str
    help: str
    placeholder: str
    kind: str
    value: Any
    choices: tuple[tuple[str, str], ...]
    is_optional: bool
    is_stored: bool
    faults: tuple[str, ...]


def shown(connector: Connector, connection: Connection | None, stored: frozenset[str], typed: Mapping[str, Any] | None,
          faults: Mapping[str, Any]) -> list[FormField]:
    """The form as it is to be shown.

    :param stored: names of the secrets that have a value.
    :param typed: what was sent and refused; shown again in place of what is stored.
    """
    values = (connection.settings if connection else {}) if typed is None else typed
    return [_field(name, setting, values, stored, faults) for name, setting in form_of(connector)]


def _field(name: str, setting: fields.Field, values: Mapping[str, Any], stored: frozenset[str], faults: Mapping[str, Any]) -> FormField:
    facts = setting.metadata
    choices = _choices(setting)
    kind = _kind(setting, choices)
    return FormField(name, facts.get("label", name), facts.get("help", ""), facts.get("placeholder", ""), kind,
                     "" if kind == "secret" else values.get(name, _default(setting)), choices, _may_stay_empty(setting), name in stored,
                     sentences(faults.get(name)))


def _kind(setting: fields.Field, choices: tuple) -> str:
    if setting.metadata.get("secret"):
        return "secret"
    if isinstance(setting, fields.Boolean):
        return "checkbox"
    if choices:
        return "choice"
    if isinstance(setting, fields.Number):
        return "number"
    return "multiline" if setting.metadata.get("multiline") else "text"


def _choices(setting: fields.Field) -> tuple[tuple[str, str], ...]:
    rule = next((rule for rule in setting.validators if isinstance(rule, validate.OneOf)), None)
    return tuple((str(value), str(label)) for value, label in rule.options()) if rule else ()


def _default(setting: fields.Field) -> Any:
    default = setting.load_default
    return "" if default is marshmallow.missing or default is None or callable(default) else default


def _may_stay_empty(setting: fields.Field) -> bool:
    return not setting.required and (_default(setting) == "" or bool(setting.metadata.get("emptiable")))


def _kinder(sentence: str) -> str:
    if between := _BETWEEN.fullmatch(sentence):
        return f"From {between[1]} to {between[2]}."
    return _KINDER.get(sentence, sentence)


def sentences(faults: Any) -> tuple[str, ...]:
    """The sentences among the faults of a field, however deep it is."""
    if isinstance(faults, Mapping):
        return tuple(sentence for value in faults.values() for sentence in sentences(value))
    if isinstance(faults, list | tuple):
        return tuple(sentence for value in faults for sentence in sentences(value))
    return (_kinder(str(faults)),) if faults else ()


def typed(connector: Connector, form: Mapping[str, str]) -> dict[str, Any]:
    """Settings by field name from a form. An empty field is left out, so that its default holds and a secret keeps its value.

    Given as empty are a field whose emptiness means something, and a secret whose box "remove" is ticked, which removes it.
    """
    given: dict[str, Any] = {}
    for name, setting in form_of(connector):
        value = form.get(PREFIX + name, "")
        if isinstance(setting, fields.Boolean):
            given[name] = bool(value)
        elif value.strip():
            given[name] = value
        elif _is_emptied(name, setting, form):
            given[name] = ""
    return given


def _is_emptied(name: str, setting: fields.Field, form: Mapping[str, str]) -> bool:
    if setting.metadata.get("secret"):
        return bool(form.get(REMOVE + name))
    return bool(setting.metadata.get("emptiable")) and PREFIX + name in form

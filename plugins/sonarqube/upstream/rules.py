"""The rules that the stand-in knows: a selection of real ones, described in our own words in ``rules.json``."""

import json
from importlib.resources import files
from typing import Any

from plugins.sonarqube.upstream.world import Rule

_LANGUAGES = {"java": "Java", "py": "Python", "js": "JavaScript", "secrets": "Secrets"}


def _rule(told: dict[str, Any]) -> Rule:
    lang = told.get("lang", "")
    return Rule(key=told["key"], name=told["name"], type=told["type"], severity=told["severity"],
                impacts=tuple(told.get("impacts", {}).items()), lang=lang, lang_name=_LANGUAGES.get(lang, ""),
                message=told.get("message", ""), sections=tuple(told["sections"].items()), cwe=tuple(told.get("cwe", ())),
                tags=tuple(told.get("tags", ())), category=told.get("category", ""), effort=told["effort"], attribute=told["attribute"])


RULES: tuple[Rule, ...] = tuple(map(_rule, json.loads(files(__package__).joinpath("rules.json").read_text("utf-8"))))

"""What sources are called."""

from collections.abc import Mapping

from core.http.deployed import deployment


class _Titles(dict[str, str]):
    """Title by source. One that no plugin offers any more goes by its own name."""

    def __missing__(self, source: str) -> str:
        return source.replace("_", " ").title()


def titles() -> Mapping[str, str]:
    """Titles of all sources by key, those of switched-off plugins too, since old runs still name them."""
    return _Titles({connector.source: connector.title for connector in deployment().plugins.connectors(include_disabled=True)})

"""What sources are called."""

from collections.abc import Mapping

from core.hooks.contracts import Connector
from core.http.deployed import deployment
from core.imports.parsers import CORE_PARSERS


class _Titles(dict[str, str]):
    """Title by source. One that no plugin offers any more goes by its own name."""

    def __missing__(self, source: str) -> str:
        return source.replace("_", " ").title()


def titles() -> Mapping[str, str]:
    """Titles of all sources by key, those of reports and of switched-off plugins too, since old runs still name them."""
    read = {parser.source: parser.title for parser in reversed(CORE_PARSERS)}
    return _Titles(read | {connector.source: connector.title for connector in deployment().plugins.connectors(include_disabled=True)})


def of_findings() -> list[Connector]:
    """The sources that are on and have findings: not those that are the MSP's own."""
    plugins = deployment().plugins
    return [connector for connector in plugins.connectors() if not plugins.is_of_house(connector.source)]

"""All tables of core, for the schema check and for tools."""

import core.access.models
import core.assets.models
import core.audit.models
import core.connections.models
import core.credentials.models
import core.findings.models
import core.hooks.models
import core.jobs.models
import core.people.models
import core.tenancy.models  # noqa: F401
from core.db import Model

ALL: list[type[Model]] = Model.__subclasses__()

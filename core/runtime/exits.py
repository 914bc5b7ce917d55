"""How a command tells that it failed: an exit code that scripts can tell apart, and one line on standard error.

``docs/operators.md`` lists the codes; a test holds that list to this module.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit code means; the text beside each is the documentation."""

    meaning: str

    def __new__(cls, number: int, meaning: str) -> "ExitCode":
        code = int.__new__(cls, number)
        code._value_ = number
        code.meaning = meaning
        return code

    DONE = 0, "done"
    REFUSED = 1, "refused: what was asked for is not acceptable, or does not fit the present state"
    USAGE = 2, "the command line is not understood"
    CONFIGURATION = 3, "the configuration is not usable: settings, master key, home folder, or migrations that have not been applied"
    NOT_FOUND = 4, "what was named does not exist"
    UNAVAILABLE = 5, "a service that is needed is not available: database, Redis, disk space"
    RUN_FAILED = 6, "the run that was waited for failed, or could not pull every asset"
    RUN_HELD = 7, "the run that was waited for is held, and a person has to decide"
    DIFFERENT = 8, "the check found differences"
    IN_USE = 9, "the port or the home folder is in use by another process"
    INTERRUPTED = 130, "interrupted from the keyboard"


class CommandFailed(Exception):
    """Ends a command with ``code`` and one line on standard error."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def expected_problems() -> tuple[type[Exception], ...]:
    """What can go wrong without a fault of our own; anything else should be seen with its trace."""
    import peewee
    import redis

    from core.errors import StockadeError
    from core.runtime.embedded_redis import NoRedis
    from core.settings import SettingsError

    return (CommandFailed, SettingsError, NoRedis, StockadeError, redis.RedisError, peewee.OperationalError,
            peewee.InterfaceError, PermissionError)


def told(problem: Exception) -> CommandFailed:
    """How to tell a person one of the ``expected_problems``."""
    import peewee
    import redis

    from core.credentials.keyring import MasterKeyWrong
    from core.errors import NotFound, StockadeError, StorageFull, Unavailable
    from core.settings import SettingsError

    match problem:
        case CommandFailed():
            return problem
        case SettingsError():
            return CommandFailed(ExitCode.CONFIGURATION, "settings: " + "; ".join(problem.faults))
        case MasterKeyWrong():
            return CommandFailed(ExitCode.CONFIGURATION, problem.message)
        case NotFound():
            return CommandFailed(ExitCode.NOT_FOUND, problem.message)
        case Unavailable() | StorageFull():
            return CommandFailed(ExitCode.UNAVAILABLE, problem.message)
        case StockadeError():
            return CommandFailed(ExitCode.REFUSED, problem.message)
        case redis.RedisError():
            return CommandFailed(ExitCode.UNAVAILABLE, f"Redis is not reachable ({type(problem).__name__})")
        case peewee.OperationalError() | peewee.InterfaceError():
            return CommandFailed(ExitCode.UNAVAILABLE, f"the database is not usable: {_first_line(problem)}")
        case PermissionError():
            return CommandFailed(ExitCode.CONFIGURATION, f"not permitted: {problem.filename}")
    return CommandFailed(ExitCode.CONFIGURATION, str(problem))


def _first_line(problem: Exception) -> str:
    from core.logs import redact

    lines = str(problem).strip().splitlines()
    return redact(lines[0]) if lines else type(problem).__name__

"""A plugin that raises whatever it is asked."""

from collections.abc import Callable

from core.hooks import impl, specs


def _raising(hook: str) -> Callable[[], None]:
    @impl(specname=hook)
    def boom() -> None:
        raise RuntimeError(f"boom in {hook}")
    return boom


globals().update({hook: _raising(hook) for hook in vars(specs) if hasattr(getattr(specs, hook), f"{specs.PROJECT}_spec")})

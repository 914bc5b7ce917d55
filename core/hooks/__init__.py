"""The plugin contract. A plugin imports ``impl`` from here, and its objects from ``contracts`` and ``failures``."""

from core.hooks.specs import impl

__all__ = ["impl"]

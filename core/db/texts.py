"""Texts from outside, made fit for both databases."""

import hashlib

LONGEST_KEY = 500
_KEPT_OF_A_LONG_KEY = 430


def clean(text: str) -> str:
    """The text without what PostgreSQL refuses: NUL is dropped, a lone surrogate becomes a question mark."""
    if text.isascii():
        return text.replace("\x00", "") if "\x00" in text else text
    return text.encode("utf-8", "replace").decode().replace("\x00", "")


def key_of(text: str) -> str:
    """A source's key as it is stored: an overlong one keeps its beginning and the SHA-256 of the whole, so that it stays unique."""
    key = clean(text)
    if len(key) <= LONGEST_KEY:
        return key
    return f"{key[:_KEPT_OF_A_LONG_KEY]}#{hashlib.sha256(key.encode()).hexdigest()}"

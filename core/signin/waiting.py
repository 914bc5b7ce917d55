"""A client that waits on a WebSocket for its tokens. What there is for it lies in the database, so any web process can hold the socket."""

import functools
import json
import threading
import time
from collections import Counter
from typing import Any

from simple_websocket import ConnectionClosed, Server

from core.db import db
from core.http import stopping
from core.people import families
from core.signin.service import SignIn
from core.signin.tokens import Tokens

#: of simple-websocket: a client that is gone is noticed within two pings; nobody has to send us much
OPTIONS = {"ping_interval": 15, "max_message_size": 1024, "thread_class": functools.partial(threading.Thread, daemon=True)}

_LOOK_SECONDS = 0.25
_KEY_SECONDS = 5.0
_FAREWELL_SECONDS = 2.0
_MOST_GUESSES, _GUESSES_SECONDS = 60, 60.0
_NORMAL, _REFUSED, _RESTART, _LATER = 1000, 1008, 1012, 1013

SIGNED_IN, NOT_YET, UNKNOWN = "Signed in successfully!", "Not signed in yet", "Unknown or expired callback key"
_FAILURES = {"Cancelled": (401, "The sign-in was cancelled"), "AccessDenied": (403, "This account may not sign in"),
             "OAuthCallback": (502, "The sign-in service did not vouch for anybody")}


class Seats:
    """Who may wait in one process: so many, since each keeps a thread and the others need some, and nobody who guesses keys.

    :ivar free: how many more may come.
    """

    def __init__(self, number: int) -> None:
        self.free = max(1, number)
        self._lock = threading.Lock()
        self._guesses: Counter[str] = Counter()
        self._guesses_until = 0.0

    def hold(self, socket: Server, callback_key: str, sign_in: SignIn, address: str) -> None:
        """Hold the socket as ``wait`` does, when a seat is free."""
        if self.is_guessing(address) or not self._take(1):
            _close(socket, _LATER, "Too many are waiting; try again, or ask with POST")
            return
        try:
            wait(socket, callback_key, sign_in, self, address)
        finally:
            self._take(-1)

    def is_guessing(self, address: str) -> bool:
        """Whether too many keys that nobody has came from this address within the last minute."""
        return self._guesses[address] >= _MOST_GUESSES and time.monotonic() < self._guesses_until

    def note_guess(self, address: str) -> None:
        with self._lock:
            if time.monotonic() >= self._guesses_until:
                self._guesses, self._guesses_until = Counter(), time.monotonic() + _GUESSES_SECONDS
            self._guesses[address] += 1

    def _take(self, number: int) -> bool:
        with self._lock:
            if self.free < number:
                return False
            self.free -= number
            return True


def envelope(status: int, message: str, tokens: Tokens | None = None) -> dict[str, Any]:
    """What a client is told, as everything on the surface is worded."""
    if tokens is None:
        return {"status": status, "message": message, "successful": False}
    data = {"accessToken": tokens.access_token, "refreshToken": tokens.refresh_token}
    return {"status": status, "message": message, "data": data, "successful": True}


def outcome(sign_in: SignIn, callback_key: str, seats: Seats, address: str) -> tuple[dict[str, Any], Tokens | None] | None:
    """What there is to tell the client with this key; None while there is nothing yet."""
    found = sign_in.fetched(callback_key)
    if isinstance(found, Tokens):
        return envelope(201, SIGNED_IN, found), found
    if found is None:
        seats.note_guess(address)
        return envelope(404, UNKNOWN), None
    if found.failure is None:
        return None
    return envelope(*_FAILURES.get(found.failure, _FAILURES["OAuthCallback"])), None


def wait(socket: Server, callback_key: str, sign_in: SignIn, seats: Seats, address: str) -> None:
    """Hold the socket until there is something to tell, the key has expired, or one of us goes."""
    key = callback_key or _sent_key(socket)
    while True:
        told = outcome(sign_in, key, seats, address)
        db.close()  # a connection is not kept from the others for as long as a person takes
        if told is not None:
            _tell(socket, *told)
            return
        if stopping.is_stopping():
            _close(socket, _RESTART, "Connect again")
            return
        if socket.receive(timeout=_LOOK_SECONDS) is not None:
            _close(socket, _REFUSED, "Nothing more was expected")
            return


def _sent_key(socket: Server) -> str:
    """The key out of the first message, for who would not have it in an address."""
    message = socket.receive(timeout=_KEY_SECONDS)
    try:
        key = json.loads(message or "{}").get("callbackKey")
    except (ValueError, AttributeError, RecursionError):
        key = None
    return key if isinstance(key, str) else ""


def _tell(socket: Server, body: dict[str, Any], tokens: Tokens | None) -> None:
    try:
        socket.send(json.dumps(body))
    except (ConnectionClosed, OSError):
        if tokens is not None:  # nobody has them
            families.end_by_token(tokens.refresh_token)
        return
    _close(socket, _NORMAL if tokens is not None else _REFUSED, body["message"])


def _close(socket: Server, reason: int, message: str) -> None:
    socket.close(reason, message)
    socket.thread.join(_FAREWELL_SECONDS)  # until the client has read it; to close at once could take it away again

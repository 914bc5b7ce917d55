"""The keys that ConnectWise signs its callbacks with. It gives them out itself, so they are remembered for a while in each process."""

import threading
import time
from collections import OrderedDict

from plugins.connectwise.client import ConnectWiseClient

_FRESH_SECONDS = 600.0
_MOST = 64

_lock = threading.Lock()
_known: OrderedDict[tuple[str, str, str], tuple[float, str]] = OrderedDict()


def key_at(client: ConnectWiseClient, key_url: str) -> str:
    """The key at this address.

    :raises LoginRejected: when the address is none of this ConnectWise's; nothing is sent there.
    :raises ConnectorError: when ConnectWise does not give it.
    """
    name = (client.site, client.company_login.lower(), key_url)
    with _lock:
        asked, key = _known.get(name, (0.0, ""))
    if key and time.monotonic() - asked < _FRESH_SECONDS:
        return key
    key = client.signing_key(key_url)
    with _lock:
        _known[name] = (time.monotonic(), key)
        while len(_known) > _MOST:
            _known.popitem(last=False)
    return key

"""Who is calling by address: the connection's own, or what a trusted proxy in front says (X-Forwarded-For)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

from ledger.errors import Unavailable

UNIX = "unix"  # a proxy that comes over a Unix socket has no address
_MOST = 64  # addresses in one header that are looked at
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Proxies:
    """The proxies whose X-Forwarded-For is believed."""

    def __init__(self, setting: str) -> None:
        """Read LEDGER_TRUSTED_PROXIES: addresses, networks, or the word `unix`; Unavailable for anything else."""
        words = [word.strip() for word in setting.split(",") if word.strip()]
        self._unix = UNIX in words
        try:
            self._networks = [ipaddress.ip_network(word, strict=False) for word in words if word != UNIX]
        except ValueError as error:
            raise Unavailable("trusted_proxies_wrong", why=str(error)) from None

    def address(self, peer: str, forwarded: str) -> str:
        """Return the caller's address: read from the right, the first that is no proxy of ours.

        What stands left of it was written by the caller and is not believed.
        """
        found = peer
        for word in reversed(forwarded.split(",")[-_MOST:]):
            if not self._trusted(found):
                break
            told = _address(word)
            if told is None:
                break
            found = str(told)
        return found

    def _trusted(self, peer: str) -> bool:
        found = _address(peer)
        if found is None:
            return self._unix and not peer
        return any(found in network for network in self._networks if network.version == found.version)


def _address(word: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address in a word, with or without a port; None where there is none."""
    bare = word.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def behind(app: WSGI, proxies: Proxies) -> WSGI:
    """Return `app` with REMOTE_ADDR as the caller's own, so that its log and its limits speak of one address."""

    def told(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        peer, forwarded = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", "")
        environ["REMOTE_ADDR"] = proxies.address(peer, forwarded)
        return app(environ, start_response)

    return told

"""Webhooks over HTTP: sent to public addresses only, unless the settings allow another, and never sent on.

An endpoint's URL comes from outside, and so does what its name resolves to. So the name is resolved once, each address
is judged, and the connection goes to the very address that was judged: no second look-up can answer otherwise. The
name still stands in the request and in the TLS handshake. No proxy is used: it would resolve the name itself.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ledger.errors import Unavailable
from scheduler.undelivered import Undelivered

_HTTP_SECONDS = 10.0
REFUSED = "private_address"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[..., Sequence[tuple[Any, ...]]]
# Roads to IPv4 addresses inside IPv6, which `ipaddress` counts as public: NAT64, its local range, 6to4, Teredo.
_DISGUISES = [ipaddress.ip_network(n) for n in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]


@dataclass(frozen=True)
class Allowed:
    """Where webhooks may go beside public addresses: names of hosts, and ranges of addresses."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPNetwork, ...] = ()

    def lets(self, host: str, address: IPAddress) -> bool:
        """Whether a connection to `address` may be made for `host`."""
        if host.lower().rstrip(".") in self.hosts or is_public(address):
            return True
        inner = getattr(address, "ipv4_mapped", None) or address
        return any(inner.version == network.version and inner in network for network in self.networks)


def allowed_of(words: str) -> Allowed:
    """Return what "host 10.0.0.0/8 ::1" allows; Unavailable `webhook_allow_wrong` for what is neither."""
    hosts, networks = set(), []
    for word in words.replace(",", " ").split():
        try:
            networks.append(ipaddress.ip_network(word))
        except ValueError:
            if _HOST.fullmatch(word) is None or word.replace(".", "").isdigit():
                raise Unavailable("webhook_allow_wrong", word=word) from None
            hosts.add(word.lower())
    return Allowed(frozenset(hosts), tuple(networks))


def is_public(address: IPAddress) -> bool:
    """Whether an address is one of the internet's, and no road to another."""
    if any(address.version == network.version and address in network for network in _DISGUISES):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class WebhookTransport:
    """Webhooks over HTTP, without following redirects: one would turn the POST into a GET, and take it elsewhere."""

    def __init__(
        self,
        allowed: Allowed | None = None,
        resolve: Resolve = socket.getaddrinfo,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = allowed or Allowed()
        self._resolve = resolve
        self._context = context

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """POST it; Undelivered `HTTP <status>`, `private_address` or the kind of failure."""
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            port = parts.port or (443 if secure else 80)
            context = (self._context or ssl.create_default_context()) if secure else None
            connection = _Pinned(host, port, self._addresses(host, port), context)
            try:
                connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
                status = connection.getresponse().status
            finally:
                connection.close()
        except (http.client.HTTPException, OSError, ValueError) as failed:
            raise Undelivered(type(failed).__name__, down=True) from None
        if not 200 <= status < 300:
            raise Undelivered(f"HTTP {status}", down=status >= 500 or status == 429)

    def _addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host that may be connected to; Undelivered where it has no other."""
        found = [str(row[4][0]) for row in self._resolve(host, port, type=socket.SOCK_STREAM)]
        good = [one for one in found if self._allowed.lets(host, ipaddress.ip_address(one.partition("%")[0]))]
        if not good:
            raise Undelivered(REFUSED, down=True)
        return list(dict.fromkeys(good))


class _Pinned(http.client.HTTPConnection):
    """A connection to one of the given addresses, whatever its host's name means to others."""

    def __init__(self, host: str, port: int, addresses: Sequence[str], context: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=_HTTP_SECONDS)
        self.default_port = 443 if context is not None else 80  # so that `Host` leaves it out
        self._addresses = addresses
        self._context = context

    def connect(self) -> None:
        """Connect to the first address that answers."""
        failed: OSError = OSError("no address")
        for address in self._addresses:
            try:
                self.sock = socket.create_connection((address, self.port), self.timeout)
                break
            except OSError as error:
                failed = error
        else:
            raise failed
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)

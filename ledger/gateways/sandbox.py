"""A gateway that takes no money and does as it is told: succeed, refuse, time out, answer late, twice, or not alike.

It stands for another company, so its books are its own: tables `sandbox_requests` and `sandbox_script`, written in its
own transactions, apart from the log. Nothing that decides is kept in memory: every process sees the same books, and a
kill between any two steps leaves what a lost answer would leave. A request and the outcome it uses up are one
transaction; who loses a race for either looks again. `token` of a refund's row is what it gives back.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

from ledger.errors import Conflict, LedgerError, Malformed, Unavailable
from ledger.gateways import GatewayAnswer, GatewayRequest, GatewayTimeout
from ledger.rules.instants import from_iso, to_iso
from ledger.store import IntegrityError, Store

_log = logging.getLogger("supportledger.sandbox")

# What `script` takes. The last two need a listener to be noticed.
OUTCOMES = (
    "ok",
    "declined",
    "declined_final",
    "timeout_before_charge",
    "timeout_after_charge",
    "late",
    "twice",
    "webhook_first",
    "contradict",
)
_REFUSED = {
    "declined": ("insufficient_funds", 0),
    "declined_final": ("stolen_card", 1),
    "no_token": ("no_such_card", 1),
}
_UNSCRIPTED = {"tok_declined": "declined", "tok_stolen": "declined_final"}
_LATE = timedelta(hours=1)
_TRIES = 100  # a lost race means that another got on; nobody loses a hundred


class Kept(NamedTuple):
    """A row of the sandbox's books: `kind` is "charge" or "refund", `token` of a refund what it gives back.

    Answered at `answered_at`; a late one is told from `visible_at` on, until then it is pending.
    """

    reference: str
    kind: str
    account: str
    token: str
    amount: int
    currency: str
    outcome: str
    code: str
    final: int
    gateway_reference: str
    answered_at: str
    visible_at: str

    def told(self, at: str) -> GatewayAnswer:
        """Return what the sandbox says of it at instant `at`."""
        name = self.gateway_reference
        if at < self.visible_at != self.answered_at:
            return GatewayAnswer(self.reference, "pending", self.answered_at, name)
        return GatewayAnswer(self.reference, self.outcome, self.visible_at, name, self.code, bool(self.final))


class Sandbox:
    """The sandbox gateway. Thread-safe, and safe with other processes.

    `listener` gets its webhooks, in this process: what is to come after an answer waits for the next call, or for
    `deliver`. They are lost with the process, as webhooks get lost: nobody may depend on them.
    """

    name = "sandbox"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._undelivered: deque[GatewayAnswer] = deque()
        self.listener: Callable[[GatewayAnswer], object] | None = None

    # --- the port -----------------------------------------------------------------------------------------

    def charge(self, request: GatewayRequest) -> GatewayAnswer:
        """Take a payment as the account's script says, else as its token does. See `Gateway`.

        Conflict `reference_reused` when the reference was used for something else: that is our mistake.
        """
        self.deliver()
        for _ in range(_TRIES):
            if (kept := self._kept(request.reference)) is not None:
                return self._again(kept, "charge", request, request.token)
            place, outcome = self._next(request)
            try:
                kept = self._keep(request, place, outcome)
            except (IntegrityError, _Lost):
                continue
            return self._answer(kept, outcome)
        raise Unavailable("too_busy")

    def refund(self, request: GatewayRequest, of: str) -> GatewayAnswer:
        """Give back part of payment `of`. Refused: `exceeds_charge`, `unknown_payment`, `wrong_currency`."""
        self.deliver()
        if (kept := self._kept(request.reference)) is None:
            try:
                self._keep_refund(request, of)
            except IntegrityError:
                _log.info("another process was first with a refund")
            kept = self._kept(request.reference)
        assert kept is not None
        return self._again(kept, "refund", request, of)

    def look_up(self, reference: str, at: str) -> GatewayAnswer:
        """Say what became of `reference`, as of `at`."""
        self.deliver()
        kept = self._kept(reference)
        return GatewayAnswer(reference, "unknown", at) if kept is None else kept.told(at)

    def check_token(self, token: str) -> bool:
        """Whether it begins with `tok_` and goes on."""
        return token.startswith("tok_") and len(token) > len("tok_")

    # --- for tests and trials -----------------------------------------------------------------------------

    def script(self, account: str, outcomes: Sequence[str]) -> None:
        """Add to what the account's next new charges will come to, one each; Malformed for one of no OUTCOMES."""
        for outcome in outcomes:
            if outcome not in OUTCOMES:
                raise Malformed("outcomes", outcome, "remedy_choice", words=", ".join(OUTCOMES))
        sql = (
            "INSERT INTO sandbox_script (account, place, outcome)"
            " SELECT ?, coalesce(max(place), 0) + 1, ? FROM sandbox_script WHERE account = ?"
        )
        for _ in range(_TRIES):
            try:
                with self._store.transaction() as books:
                    for outcome in outcomes:
                        books.execute(sql, [account, outcome, account])
                return
            except IntegrityError:  # another process took the same places
                continue
        raise Unavailable("too_busy")

    def scripted(self, account: str) -> list[str]:
        """Return the outcomes not used up yet."""
        sql = "SELECT outcome FROM sandbox_script WHERE account = ? ORDER BY place"
        return [str(row[0]) for row in self._store.query(sql, [account])]

    def taken(self, at: str = "") -> dict[str, int]:
        """Return what it took less what it gave back, minor units by currency; by `at`, if that is given."""
        sql = (
            "SELECT currency, sum(CASE kind WHEN 'charge' THEN amount ELSE -amount END) FROM sandbox_requests"
            " WHERE outcome = 'succeeded' AND (visible_at <= ? OR ? = '') GROUP BY currency ORDER BY currency"
        )
        return {str(currency): int(total) for currency, total in self._store.query(sql, [at, at])}

    def requests(self, account: str) -> list[Kept]:
        """Return the account's rows, in the order of their answers."""
        sql = f"SELECT {_COLUMNS} FROM sandbox_requests WHERE account = ? ORDER BY answered_at, reference"
        return [Kept(*row) for row in self._store.query(sql, [account])]

    def deliver(self) -> int:
        """Give the listener what waits; return how much that was."""
        delivered = 0
        while self._undelivered:
            try:
                waiting = self._undelivered.popleft()
            except IndexError:  # another thread was faster
                break
            self._tell(waiting)
            delivered += 1
        return delivered

    # --- the books ----------------------------------------------------------------------------------------

    def _kept(self, reference: str) -> Kept | None:
        sql = f"SELECT {_COLUMNS} FROM sandbox_requests WHERE reference = ?"
        rows = self._store.query(sql, [reference])
        return Kept(*rows[0]) if rows else None

    def _next(self, request: GatewayRequest) -> tuple[int, str]:
        """Return the outcome to come and its place in the script, place 0 when nothing is scripted."""
        if not self.check_token(request.token):
            return 0, "no_token"
        sql = "SELECT place, outcome FROM sandbox_script WHERE account = ? ORDER BY place LIMIT 1"
        for place, outcome in self._store.query(sql, [request.account]):
            return int(place), str(outcome)
        return 0, _UNSCRIPTED.get(request.token, "ok")

    def _keep(self, request: GatewayRequest, place: int, outcome: str) -> Kept:
        """Use up the outcome and write the request, both or none; _Lost or IntegrityError when another was first."""
        kept = _decided(request, outcome)
        with self._store.transaction() as books:
            used = "DELETE FROM sandbox_script WHERE account = ? AND place = ? AND outcome = ?"
            if place and not books.execute(used, [request.account, place, outcome]):
                raise _Lost
            if outcome != "timeout_before_charge":
                books.execute(f"INSERT INTO sandbox_requests ({_COLUMNS}) VALUES ({_MARKS})", kept)
        return kept

    def _keep_refund(self, request: GatewayRequest, of: str) -> None:
        """Write a refund, decided by the database once the payment's row is ours."""
        with self._store.transaction() as books:
            # Two refunds of one payment take turns here, so that together they never exceed it.
            books.execute("UPDATE sandbox_requests SET final = final WHERE gateway_reference = ?", [of])
            name = _name("refund", request.reference)
            asked = [request.reference, request.account, of, request.amount, request.currency, name, request.at]
            books.execute(_REFUND, asked)

    # --- the answers --------------------------------------------------------------------------------------

    def _answer(self, kept: Kept, outcome: str) -> GatewayAnswer:
        if outcome in ("timeout_before_charge", "timeout_after_charge"):
            raise GatewayTimeout(kept.reference)
        answer = kept.told(kept.answered_at)
        if outcome == "webhook_first":
            self._tell(answer)
        elif outcome == "twice":
            self._tell_later(answer)
        elif outcome == "contradict":
            self._tell_later(replace(answer, outcome="refused", code="do_not_honor"))
        return answer

    def _again(self, kept: Kept, kind: str, request: GatewayRequest, token: str) -> GatewayAnswer:
        asked = (kind, request.account, token, request.amount, request.currency)
        if (kept.kind, kept.account, kept.token, kept.amount, kept.currency) != asked:
            raise Conflict("reference_reused", reference=request.reference)
        return kept.told(request.at)

    def _tell(self, answer: GatewayAnswer) -> None:
        """Give the listener a webhook. That it was not taken is no concern of the gateway's."""
        if self.listener is not None:
            try:
                self.listener(answer)
            except LedgerError as refused:
                _log.warning("a webhook was refused: %s", refused.code)

    def _tell_later(self, answer: GatewayAnswer) -> None:
        if self.listener is not None:
            self._undelivered.append(answer)


class _Lost(Exception):
    """Another process used up the outcome that was read."""


def _decided(request: GatewayRequest, outcome: str) -> Kept:
    code, final = _REFUSED.get(outcome, ("", 0))
    return Kept(
        reference=request.reference,
        kind="charge",
        account=request.account,
        token=request.token,
        amount=request.amount,
        currency=request.currency,
        outcome="refused" if code else "succeeded",
        code=code,
        final=final,
        gateway_reference=_name("charge", request.reference),
        answered_at=request.at,
        visible_at=to_iso(from_iso(request.at) + _LATE) if outcome == "late" else request.at,
    )


def _name(kind: str, reference: str) -> str:
    """Return the sandbox's own reference: always the same, and of letters only, so that it looks like no card."""
    digest = hashlib.sha256(f"{kind} {reference}".encode()).hexdigest()[:20]
    return f"sbx_{digest.translate(_LETTERS)}"


_LETTERS = str.maketrans("0123456789", "ghijklmnop")
_COLUMNS = ", ".join(Kept._fields)
_MARKS = ", ".join("?" * len(Kept._fields))
_REFUND = f"""INSERT INTO sandbox_requests ({_COLUMNS})
    WITH asked AS (
        SELECT ? AS reference, ? AS account, ? AS payment, ? AS amount, ? AS currency, ? AS name, ? AS at
    ), payment AS (
        SELECT p.amount, p.currency FROM sandbox_requests p, asked a
        WHERE p.gateway_reference = a.payment AND p.kind = 'charge' AND p.outcome = 'succeeded' AND p.visible_at <= a.at
    ), given_back AS (
        SELECT coalesce(sum(r.amount), 0) AS total FROM sandbox_requests r, asked a
        WHERE r.kind = 'refund' AND r.token = a.payment AND r.outcome = 'succeeded'
    ), decided AS (
        SELECT CASE
            WHEN p.amount IS NULL THEN 'unknown_payment'
            WHEN p.currency <> a.currency THEN 'wrong_currency'
            WHEN a.amount > p.amount - g.total THEN 'exceeds_charge'
            ELSE '' END AS code
        FROM asked a CROSS JOIN given_back g LEFT JOIN payment p ON 1 = 1
    )
    SELECT a.reference, 'refund', a.account, a.payment, a.amount, a.currency,
        CASE d.code WHEN '' THEN 'succeeded' ELSE 'refused' END, d.code, 0, a.name, a.at, a.at
    FROM asked a, decided d"""

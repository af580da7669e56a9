"""An account's e-mail address: read, set, forgotten. It stands beside the log, so no position and no key go with it."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.context import services
from api.operations import LedgerBlueprint, Operation, View, given
from api.responses import as_json, conditional
from ledger import contacts
from ledger.cli_contacts import contact_shown
from ledger.command import AUDITORS, MONEY
from ledger.fields import Field, Id, Text
from ledger.texts import text

_ACCOUNT = Field("account", Id())
_EMAIL = Field("email", contacts.Email())
_GREETED = Field("name", Text(200), required=False)


def blueprint() -> LedgerBlueprint:
    """Return the blueprint of an account's contact."""
    blp = LedgerBlueprint("contact")
    _add(blp, "contact_show", "GET", (), _show)
    _add(blp, "contact_set", "POST", (_EMAIL, _GREETED), _set)
    _add(blp, "contact_forget", "DELETE", (), _forget)
    return blp


def _add(blp: LedgerBlueprint, name: str, method: str, fields: tuple[Field, ...], view: View) -> None:
    operation = Operation(
        id=name,
        name=name.replace("_", "."),
        method=method,
        path="/accounts/{account}/contact",
        fields=(_ACCOUNT, *fields),
        roles=MONEY | AUDITORS if method == "GET" else MONEY,
        tag="accounts",
        answer="contact_forget" if method == "DELETE" else "contact",
        summary=text(f"http_{name}", "en"),
        logged=False,
    )
    blp.operation(operation, view)


def _show(values: dict[str, Any], account: str) -> Response:
    ledger = services().ledger
    return conditional(contact_shown(contacts.contact(ledger.store, _number(account)), ledger.catalogue.zone))


def _set(values: dict[str, Any], account: str) -> Response:
    ledger, sent = services().ledger, given(values)
    kept = contacts.set_contact(
        ledger.store, _number(account), email=sent["email"], name=sent.get("name", ""), now=ledger.clock.now()
    )
    return _private(contact_shown(kept, ledger.catalogue.zone))


def _forget(values: dict[str, Any], account: str) -> Response:
    count = contacts.forget_contact(services().ledger.store, _number(account))
    return _private({"account": account, "forgotten": count})


def _number(account: str) -> str:
    return Id().parse(account, "account")


def _private(answer: dict[str, Any]) -> Response:
    response = as_json(answer)
    response.headers["Cache-Control"] = "no-store"
    return response

"""Words of people: no English, no codes and no command's name in Spanish; every scenario's refusals read in Spanish."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger.application import Ledger
from ledger.apply import answers
from ledger.errors import Refused
from ledger.store import open_store
from ledger.texts import table, text
from tests.test_scenario_files import FILES, lines_of

# Words that no accountant, agent or manager here says, or that mean something else to them.
NEVER = re.compile(
    r"(?<![\w{./-])(declinad\w+|castigad\w+|facturable|clases?|hechos?|certificad[oa] como|pedid[oa]s?|"
    r"ledger|gateways?|operator|approver|tokens?|reminders?|due|breach(ed|es)?|agreed|finance|manager|agent|queue|"
    r"log|feed|backup|default|sandbox|chargeback|mistake|what[_-]if|notices|grant|charge|refund|policy)(?![\w}/.-])",
    re.IGNORECASE,
)
COMMAND_NAME = re.compile(
    r"\b(account|addon|approval|books|calendar|card|charge|courtesy|document|licence|payment|plan|report|ticket)"
    r"\.[a-z_]+\b"
)
QUOTED = re.compile(r"«supportledger [^»]*»|LEDGER_[A-Z_]+")  # what an operator types or sets, shown as such
# Texts that name what somebody types exactly so; the word for people stands beside it.
TYPED = {
    "field_kind": "the three values that are typed, each with its word",
    "tokens_without_end": "told to the operator in `status`: which commands make and revoke tokens",
    "query_by": "the values that are typed in the query",
    "approval_limits_wrong": "what the setting looks like",
    "remedy_scenario_text": "how a supposed policy is typed",
    "xes_no_log": "<log> is the name of the element in the file",
    "mapping_no_choice": "a path in the source tree",
    "mapping_wrong_kind": "a path in the source tree",
}


def test_no_spanish_text_holds_english_or_another_trades_word() -> None:
    wrong = []
    for key, words in table().items():
        said = QUOTED.sub("", words["es"])
        found = [m.group() for m in (*NEVER.finditer(said), *COMMAND_NAME.finditer(said))]
        if found and key not in TYPED:
            wrong.append(f"{key}: {found}: {words['es']}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_what_is_excused_still_needs_it() -> None:
    for key in TYPED:
        said = table()[key]["es"]
        assert NEVER.search(said) or COMMAND_NAME.search(said) or "ledger/" in said or "token " in said, key


def test_spanish_labels_name_no_debt_by_a_verb() -> None:
    """ "Debe" is the left side of an account; what a customer owes is a pending balance."""
    labels = {key: words["es"] for key, words in table().items() if key.startswith(("label_", "value_"))}
    assert not [key for key, said in labels.items() if said.lower() in ("debe", "libre", "clase", "hechos")]


# What a refusal in Spanish may not hold: the names of roles, levels, priorities and states, and ISO dates.
CODES = re.compile(
    r"(?<![\w«./-])(agent|finance|manager|operator|auditors|basic|advanced|corporate|low|medium|high|monthly|yearly|"
    r"breached|met|open|excluded|in_force|past_due|lapsed|cancelled)(?![\w»./-])|\b\d{4}-\d\d(-\d\d)?\b"
)


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_refusals_in_spanish_hold_no_code_and_no_foreign_date(file: Path, tmp_path: Path) -> None:
    ledger = Ledger(open_store(f"sqlite:///{tmp_path / 'l.db'}"))
    ledger.store.migrate(test_clock=True)
    wrong = []
    for number, line, _expected in lines_of(file):
        (answer,) = answers(ledger, [line.encode()], lang="es_GT")
        if answer["ok"] or answer["code"] == "malformed":  # that one repeats what was sent, and how to type it
            continue
        said = answer["message"]
        if (bad := CODES.search(said) or COMMAND_NAME.search(said) or NEVER.search(said)) is not None:
            wrong.append(f"{file.name}:{number}: {bad.group()}: {said}")
    ledger.close()
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (
            Refused("role_not_allowed", role="agent", command="courtesy.grant", roles="manager, operator"),
            "Su rol (agente) no permite esto: dar tickets de cortesía. Lo puede hacer: gerente, operador.",
        ),
        (
            Refused("role_not_allowed", role="agent", command="payments", roles="finance"),
            "Su rol (agente) no permite esto: consultar «los pagos». Lo puede hacer: finanzas.",
        ),
        (
            Refused("role_not_with", role="agent", command="plan.purchase", value="licence", words="web, salesperson"),
            "Su rol (agente) no permite esto con «licencia INVEX WEB»: vender un plan. Con esto sí: ",
        ),
        (Refused("plan_too_low", needed="advanced"), "Esta solicitud la incluye el plan Avanzado o superior."),
        (Refused("month_closed", month="2026-01", closed_through="2026-02"), "(todo hasta febrero de 2026)"),
        (
            Refused("no_such_reminder", ticket="T", reminder="2026-01-05T10:15:00-06:00", reminders="-"),
            "Registrados: ninguno.",
        ),
    ],
)
def test_a_refusal_tells_acts_roles_levels_and_months_in_words(refusal: Refused, said: str) -> None:
    assert said in refusal.message("es_GT")


def test_one_ticket_is_told_as_one() -> None:
    granted = {"level": "Básico", "until": "2026-03-01"}
    assert (
        text("fact_account.courtesy_granted", "es_GT", units=1, **granted)
        == "Cortesía: 1 ticket Básico hasta 01/03/2026"
    )
    assert text("fact_account.courtesy_granted", "en", units=2, **granted).startswith("Courtesy: 2 tickets")

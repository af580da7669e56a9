"""Importing history: what a mapping can say, and what rows mean by their order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger import facts as f
from ledger.application import Ledger
from ledger.catalogue import load
from ledger.errors import NotFound, Refused
from ledger.imports import MappingError, Summary, load_mapping
from ledger.imports.mapping import (
    Columns,
    Defaults,
    Enrolment,
    Exclude,
    Mapping,
    Numbers,
    Outcome,
    OwnLimit,
    Pattern,
    Theirs,
    Times,
)
from ledger.store import open_store
from tests.desks import DESK, HEAD, LINES, MINI, ROOT, billing, bring_in, rows, ticket, told

Bring = Callable[..., Summary]


@pytest.fixture(name="ledger")
def _ledger(store_url: str) -> Iterator[Ledger]:
    ledger = Ledger(open_store(store_url))
    ledger.store.migrate()
    yield ledger
    ledger.close()


@pytest.fixture(name="bring")
def _bring(ledger: Ledger, tmp_path: Path) -> Bring:
    """Give a function that imports lines, by MINI or a mapping made of it."""

    def bring(*lines: str, mapping: str = MINI, head: str = HEAD, into: Ledger = ledger) -> Summary:
        return bring_in(into, tmp_path, "".join(f"{line}\n" for line in (head, *lines)), mapping, "utf-8")

    return bring


# --- what rows mean by their order -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activities", "facts"),
    [
        (["memo", "answer"], ["1 opened", "2 responded"]),
        (["answer", "memo"], ["1 opened", "1 responded", "2 noted"]),
        (["done", "shut"], ["1 opened", "1 resolved", "2 noted"]),
        (["done", "memo"], ["1 opened", "1 resolved", "2 reopened", "2 noted"]),
        (["done", "answer", "done"], ["1 opened", "1 resolved", "2 reopened", "2 responded", "3 resolved"]),
        (["new", "ask", "memo"], ["1 opened", "2 waiting", "3 resumed", "3 noted"]),
        (["new", "ask", "ask", "shut"], ["1 opened", "2 waiting", "3 resumed", "3 waiting", "4 resumed", "4 noted"]),
        (["new", "ask", "back", "back"], ["1 opened", "2 waiting", "3 resumed", "4 resumed"]),
        (["new", "double", "double"], ["1 opened", "2 excluded", "2 given_back", "3 noted"]),
        (["new", "outage", "double"], ["1 opened", "2 excluded", "3 given_back"]),
        (["double"], ["1 opened", "1 excluded", "1 given_back"]),
        (["new", "memo/4", "memo"], ["1 opened", "3 noted"]),  # a broken row keeps its number
        (["new", "memo/3", "memo/3"], ["1 opened", "2 noted", "2 prioritised", "3 noted"]),
        (["new/2", "memo/1"], ["1 opened", "2 noted", "2 prioritised"]),
    ],
)  # fmt: skip
def test_rows_become_facts(ledger: Ledger, bring: Bring, activities: list[str], facts: list[str]) -> None:
    bring(*rows(*activities))
    assert told(ledger) == facts


def test_an_exact_repeat_is_a_note_and_moves_nothing(ledger: Ledger, bring: Bring) -> None:
    new, ask, done = rows("new", "ask", "done")
    summary = bring(new, ask, ask, done, done)
    assert summary.imported == 5
    assert told(ledger) == ["1 opened", "2 waiting", "2 noted", "3 resumed", "3 resolved", "3 noted"]


@pytest.mark.parametrize(
    ("activities", "due", "governs"),
    [
        (["new", "memo/3"], "11:01", "high"),  # two hours from the row that shows it
        (["new", "answer/3"], "17:00", "low"),  # the answer of the same row comes first
        (["new", "memo/3", "memo/1"], "11:01", "high"),  # a lowering changes the label only
        (["new", "memo/2"], "17:00", "low"),  # eight hours as before: the earlier limit governs
    ],
)
def test_a_change_of_priority_between_rows(
    ledger: Ledger, bring: Bring, activities: list[str], due: str, governs: str
) -> None:
    bring(*rows(*activities))
    case = ticket(ledger)
    assert case["due_at"] == f"2026-03-02T{due}:00-06:00"
    assert case["verdict_priority"] == governs
    assert case["priority"] == {"1": "low", "2": "medium", "3": "high"}[activities[-1][-1]]


def test_rows_in_any_order_are_told_in_the_order_of_their_time(ledger: Ledger, bring: Bring) -> None:
    bring(*reversed(rows("new", "ask", "done")))
    assert told(ledger) == ["1 opened", "2 waiting", "3 resumed", "3 resolved"]


def test_the_steps_of_a_line_are_told_in_the_order_of_their_time(ledger: Ledger, tmp_path: Path) -> None:
    head = LINES.splitlines()[0]
    day = "2026-03-02T"
    bring_in(ledger, tmp_path, f"{head}\nV-1;M;jan;Bronze;normal;x;{day}09:00;{day}11:00;{day}10:00;doppelt\n")
    assert told(ledger, "V-1") == [
        "1 opened", "1 resolved", "1 reopened", "1 responded", "1 excluded", "1 given_back"
    ]  # fmt: skip


def test_each_fact_says_who_when_and_from_which_file(ledger: Ledger, bring: Bring, tmp_path: Path) -> None:
    bring(*rows("new", "double"))
    source = ledger.ticket("C").facts[0].source
    prefix, name, digest = source.split(":")
    assert (prefix, name, len(digest)) == ("import", "mini", 12)
    assert {fact.by for fact in ledger.ticket("C").facts} == {"eva"}
    account = [f.decode(row.topic, row.state) for row in ledger.store.rows_of_account("Ixchel")]
    decided = [fact for fact in account if not isinstance(fact, (f.Due, f.TicketFact))]
    assert {(fact.by, fact.source) for fact in decided} == {("import", source)}
    back = next(fact for fact in decided if isinstance(fact, f.UnitGivenBack))
    assert (back.reason, back.occurred_at) == ("duplicate", "2026-03-02T15:01:00.000000Z")


def test_an_exclusion_gives_the_unit_back_only_where_the_mapping_says_so(ledger: Ledger, bring: Bring) -> None:
    bring(*rows("new", "double", case="C1"), *rows("new", "outage", case="C2"))
    assert [ticket(ledger, case)["verdict"] for case in ("C1", "C2")] == ["excluded", "excluded"]
    assert ledger.ask("balance", {"account": "Ixchel", "at": "2026-03-03T00:00:00-06:00"})["used"] == 1


def test_a_boundary_at_the_opening_of_the_last_case_is_paid_and_what_follows_is_recorded(
    ledger: Ledger, bring: Bring
) -> None:
    midnight = rows("new", case="D")[0].replace("02.03.2026 09:00", "02.04.2026 00:00")
    bring(*rows("new"), midnight)
    assert ticket(ledger, "D")["grant"] == "Ixchel-S1-m1"
    assert billing(ledger, "2026-04-02T06:00:00Z")["paid_assumed"] == "500.00"
    topics = [row.topic.removeprefix("account.") for row in ledger.store.rows_of_account("Ixchel")]
    assert topics[-3:] == ["charge_raised", "plan_ended", "charge_voided"]
    assert ledger.record_due("Ixchel") == 0, "the lapse is recorded with the rest"


def test_a_case_that_no_usable_unit_covers_is_kept_and_consumes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    head = LINES.splitlines()[0]
    lines = [f"V-{n};Müller;jan;Bronze;normal;x;2026-03-0{n}T09:00:00;;;" for n in range(2, 9)]
    bring_in(ledger, tmp_path, "\n".join([head, *lines]))
    assert [ticket(ledger, f"V-{n}")["why"] for n in range(2, 9)] == ["only_grant"] * 5 + ["uncovered"] * 2
    assert ticket(ledger, "V-8")["verdict"] == "breached", "history is recorded, not judged: it has its target"


# --- what a mapping can say ------------------------------------------------------------------------------------------


def test_a_quite_different_desk_is_only_another_mapping(ledger: Ledger, tmp_path: Path) -> None:
    summary = bring_in(ledger, tmp_path, LINES)
    counts = {name: count for name, count in summary.as_dict().items() if count}
    assert counts == {"rows": 5, "imported": 5, "accounts": 2, "tickets": 5}
    assert ticket(ledger, "V-1")["verdict"] == "met"  # a microsecond before eight hours were up
    assert ticket(ledger, "V-2")["verdict"] == "breached"  # 11:00 in Berlin is two hours after nine
    assert ticket(ledger, "V-3")["verdict"] == "excluded"
    # 03:29:59 is 59 minutes and 59 seconds after 01:30: the clock went forward in between.
    assert ticket(ledger, "V-4")["verdict"] == "met"
    assert ticket(ledger, "V-5")["verdict"] == "met"  # resolving counts when nothing came before
    assert ticket(ledger, "V-1")["opened_at"] == "2026-03-02T09:00:00+01:00"


def test_enrolment_pays_month_by_month_to_the_last_case(ledger: Ledger, tmp_path: Path) -> None:
    bring_in(ledger, tmp_path, LINES)
    at = "2026-04-30T12:00:00+02:00"
    balance = ledger.ask("balance", {"account": "Schmidt", "at": at})
    assert (balance["state"], balance["granted"], balance["used"]) == ("in_force", 60, 2)
    billing = ledger.ask("billing", {"account": "Schmidt", "at": at})
    assert (billing["currency"], billing["billed"], billing["due"]) == ("USD", "390.00", "0.00")
    assert (billing["paid"], billing["paid_assumed"]) == ("0.00", "390.00"), "assumed, not seen: apart in every total"
    assert (billing["received"], billing["assumed"]) == ("0.00", "390.00")
    assert {c["paid_assumed"] for c in billing["charges"]} == {"195.00"}
    paid = ledger.ask("payments", {"account": "Schmidt", "at": at})["payments"]
    assert {(p["amount"], p["assumed"]) for p in paid} == {("195.00", True)}
    told = [e for e in ledger.ask("history", {"account": "Schmidt"})["entries"] if "payment_recorded" in e["event"]]
    assert [e["assumed"] for e in told] == [True] * len(told) != []
    late = ledger.ask("balance", {"account": "Schmidt", "at": "2026-06-10T12:00:00+02:00"})
    assert late["state"] == "lapsed"
    duplicate = ledger.ask("balance", {"account": "Müller", "at": "2026-03-05T00:00:00+01:00"})
    assert duplicate["used"] == 2, "the duplicate gave its unit back"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-03-29T02:30:00", "2026-03-29T03:30:00+02:00"),  # in the gap: forward by it
        ("2025-10-26T02:30:00", "2025-10-26T02:30:00+02:00"),  # twice that night: the first
        ("2025-10-26T02:30:00+01:00", "2025-10-26T02:30:00+01:00"),  # an offset says which
        ("2025-10-26T02:30:00Z", "2025-10-26T03:30:00+01:00"),
    ],
)
def test_times_without_an_offset_are_wall_time(ledger: Ledger, tmp_path: Path, written: str, meant: str) -> None:
    head = LINES.splitlines()[0]
    bring_in(ledger, tmp_path, f"{head}\nV-1;Müller;jan;Bronze;normal;x;{written};;;\n")
    assert ticket(ledger, "V-1")["opened_at"] == meant


def test_the_mapping_in_the_readme_is_one(tmp_path: Path) -> None:
    text = (ROOT / "ledger" / "imports" / "README.md").read_text("utf-8")
    events, more, steps = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert mapping_of(tmp_path, events).enrolment == Enrolment()
    # Below the events' mapping stands the rest of what one may say: with it, it is a mapping too.
    all_of_it = events.replace('[priorities]\nnormal = "low"\n', "") + more
    whole = mapping_of(tmp_path, all_of_it.replace("[priorities]\n", '[priorities]\nnormal = "low"\n'))
    assert whole.enrolment == Enrolment(), "it shows the defaults"
    assert (whole.numbers.account, whole.defaults.channel) == ("{}", "platform")
    cases = re.sub(r"(?m)^(time|activity) =.*\n", "", events.replace('"events"', '"cases"'))
    cases = re.sub(r"\[activities\][^\[]*", steps, cases)
    assert len(mapping_of(tmp_path, cases).steps) == 2


def mapping_of(folder: Path, mapping: str) -> Mapping:
    (folder / "mapping.toml").write_text(mapping, "utf-8")
    return load_mapping(folder / "mapping.toml")


def test_the_readme_documents_every_option() -> None:
    text = (ROOT / "ledger" / "imports" / "README.md").read_text("utf-8")
    shapes = (Mapping, Columns, Defaults, Numbers, Times, Theirs, Outcome, Enrolment, OwnLimit, Pattern, Exclude)
    names = {name for shape in shapes for name in shape.__struct_fields__}
    assert sorted(name for name in names if not re.search(rf"\b{name}\b", text)) == []


def test_columns_by_position_reach_behind_a_heading_that_stands_twice(ledger: Ledger, bring: Bring) -> None:
    head = "id|who|by|when|what|plan|prio|note|note"
    lines = [f"{line}|left|right" for line in rows("new")]
    kept = MINI.replace('prio"\n', 'prio"\nattributes = { remark = 9 }\n', 1).replace('case = "id"', "case = 1")
    bring(*lines, mapping=kept, head=head)
    opened = ledger.ticket("C").opened
    assert opened.attributes == {"remark": "right"}
    with pytest.raises(Refused, match="import_column_twice"):
        bring(*lines, mapping=MINI.replace('prio"\n', 'prio"\nattributes = ["note"]\n', 1), head=head)
    with pytest.raises(Refused, match="import_position"):
        bring(*lines, mapping=MINI.replace('case = "id"', "case = 10"), head=head)


def test_numbers_are_made_as_the_mapping_says(ledger: Ledger, bring: Bring) -> None:
    made = '[numbers]\nticket = "mini-{}"\naccount = "C {}"\nagent = "{} (mini)"\n[times]'
    bring(*rows("new", "answer"), mapping=MINI.replace("[times]", made))
    case = ledger.ticket("mini-C")
    assert case.opened.customer_no == "C Ixchel"
    assert case.opened.by == "eva (mini)"


def test_a_first_row_may_be_an_opening_and_nothing_else(ledger: Ledger, bring: Bring) -> None:
    only = MINI.replace('"events"\n', '"events"\nfirst_row = "opens"\n')
    bring(*rows("double", "answer"), mapping=only)
    assert told(ledger) == ["1 opened", "2 responded"]
    assert ledger.ask("balance", {"account": "Ixchel", "at": "2026-03-03T00:00:00-06:00"})["used"] == 1


def test_enrolment_is_the_mappings(ledger: Ledger, bring: Bring) -> None:
    enrolment = """
[enrolment]
term = "yearly"
currency = "USD"
zone = "Europe/Madrid"
language = "en"
channel = "salesperson"
salesperson = "Rosa"
"""
    late = rows("new", case="D")[0].replace("2026", "2025")
    first = rows("new")[0].replace("2026", "2022")
    bring(first, late, mapping=MINI + enrolment)
    bought = next(
        fact
        for row in ledger.store.rows_of_account("Ixchel")
        if isinstance(fact := f.decode(row.topic, row.state), f.PlanPurchased)
    )
    assert (bought.term, bought.channel, bought.salesperson) == ("yearly", "salesperson", "Rosa")
    account = ledger.ask("account", {"account": "Ixchel"})
    assert (account["zone"], account["currency"], account["language"]) == ("Europe/Madrid", "USD", "en")
    charges = billing(ledger, "2025-12-31T00:00:00Z")["charges"]
    assert [charge["due_on"] for charge in charges] == [f"{year}-03-02" for year in range(2022, 2026)]
    assert {charge["state"] for charge in charges} == {"paid"}


def test_a_currency_without_a_price_is_refused_before_anything_is_written(
    sqlite_url: str, bring: Bring, tmp_path: Path
) -> None:
    shipped = (ROOT / "ledger" / "catalogue.toml").read_text("utf-8")
    without = re.sub(r"\[prices\.USD\]\n(\w+ = .*\n)+", "", shipped)
    assert without != shipped
    (tmp_path / "catalogue.toml").write_text(without, "utf-8")
    ledger = Ledger(open_store(sqlite_url), load(tmp_path / "catalogue.toml"))
    ledger.store.migrate()
    with pytest.raises(NotFound, match="no_price"):
        bring(*rows("new"), mapping=MINI + '[enrolment]\ncurrency = "USD"\n', into=ledger)
    assert ledger.store.last_position() == 0
    ledger.close()


def test_a_mistake_above_the_tables_is_told_in_spanish_too() -> None:
    wrong = MappingError("m.toml", "top level", "mapping_unknown", name="surprise")
    assert "en la parte de arriba, antes de las tablas" in wrong.message("es_GT")
    assert "its top level" in wrong.message("en")


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        (("Europe/Berlin", "Europe/Nowhere"), "times.zone"),
        (('Gold = "corporate"', 'Gold = "platinum"'), "levels.Gold"),
        (('action = "respond"', 'action = "shout"'), "steps"),
        (('layout = "cases"', 'layout = "stars"'), "layout"),
        (('name = "ruhrdesk"', 'name = "ruhrdesk"\nsurprise = 1'), "top level"),
        (('currency = "USD"', 'currency = "DM"'), "enrolment.currency"),
        (('action = "open"', 'action = "note"'), "steps"),
        (("[times]", "[times"), "TOML"),
        (('name = "ruhrdesk"', 'name = "ruhr:desk"'), "name"),
        (('format = "iso"', 'format = "%d.%m.%Q"'), "times.format"),
        (('format = "iso"', 'format = "%H:%M"'), "times.format"),
        (('encoding = "latin-1"', 'encoding = "klingon"'), "encoding"),
        (('delimiter = ";"', "delimiter = '\"'"), "delimiter"),
        (('case = "Vorgang"', "case = 0"), "columns.case"),
        (('case = "Vorgang"', 'cases = "Vorgang"'), "columns"),
        (('case = "Vorgang"', ""), "columns"),
        (('normal = "low"', 'normal = "lowest"'), "priorities.normal"),
        (('exclude = "duplicate"', 'exclude = ""'), "outcome.values.doppelt.exclude"),
        ((", give_back = true", ""), "outcome.values"),
        (("[enrolment]", "[numbers]\nticket = 'T'\n[enrolment]"), "numbers.ticket"),
        (("[enrolment]", "[numbers]\naccount = '{}/{}'\n[enrolment]"), "numbers.account"),
        (("[enrolment]", "[numbers]\nagent = 'a/{}'\n[enrolment]"), "numbers.agent"),
        (("[enrolment]", "[enrolment]\nzone = 'Mars'"), "enrolment.zone"),
        (("[enrolment]", "[enrolment]\nchannel = 'licence'"), "enrolment.channel"),
        (("[enrolment]", "[activities]\nx = 'note'\n[enrolment]"), "activities"),
        (('layout = "cases"', 'layout = "events"'), "columns"),
    ],
)
def test_a_mapping_with_a_mistake_names_file_and_entry(tmp_path: Path, change: tuple[str, str], entry: str) -> None:
    (tmp_path / "wrong.toml").write_text(DESK.replace(*change), "utf-8")
    with pytest.raises(MappingError) as refused:
        load_mapping(tmp_path / "wrong.toml")
    assert refused.value.facts["file"] == "wrong.toml"
    assert refused.value.facts["entry"].startswith(entry)

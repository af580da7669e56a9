"""What a mapping can say of a real export: each option of ledger/imports/README.md, and what it does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger import facts as f
from ledger.application import Ledger
from ledger.errors import Refused
from ledger.imports import MappingError, Summary, load_mapping
from ledger.store import open_store
from tests.desks import HEAD, MINI, bring_in, program, rows, ticket, told

Bring = Callable[..., Summary]


@pytest.fixture(name="ledger")
def _ledger(sqlite_url: str) -> Iterator[Ledger]:
    ledger = Ledger(open_store(sqlite_url))
    ledger.store.migrate()
    yield ledger
    ledger.close()


@pytest.fixture(name="bring")
def _bring(ledger: Ledger, tmp_path: Path) -> Bring:
    def bring(*lines: str, mapping: str = MINI, head: str = HEAD, dry_run: bool = False) -> Summary:
        content = "".join(f"{line}\n" for line in (head, *lines))
        return bring_in(ledger, tmp_path, content, mapping, "utf-8", dry_run=dry_run)

    return bring


def mini(*changes: tuple[str, str], top: str = "", bottom: str = "") -> str:
    """Return MINI with entries changed, lines added at its top level, and tables at its end."""
    mapping = MINI.replace('delimiter = "|"', f'delimiter = "|"\n{top}')
    for before, after in changes:
        assert before in mapping, before
        mapping = mapping.replace(before, after, 1)
    return mapping + bottom


def test_an_opening_column_dates_the_opening_beside_the_events(ledger: Ledger, bring: Bring) -> None:
    head = f"{HEAD}|created"
    lines = [f"{line}|02.03.2026 07:30" for line in rows("answer", "done")]
    made = mini(('activity = "what"', 'activity = "what"\nopened = "created"'))
    summary = bring(*lines, mapping=made, head=head)
    assert (summary.imported, summary.tickets) == (2, 1)
    assert told(ledger) == ["31 opened", "1 responded", "2 resolved"]
    case = ticket(ledger)
    assert (case["opened_at"][11:16], case["responded_at"][11:16]) == ("07:30", "09:00")
    again = bring(*reversed(lines), mapping=made, head=head)
    assert (again.imported, again.skipped) == (0, 2)


def test_a_constant_level_and_one_from_another_columns_pattern(ledger: Ledger, bring: Bring) -> None:
    bring(*rows("new"), mapping=mini(('level = "plan"\n', ""), bottom='[defaults]\nlevel = "corporate"\n'))
    assert ticket(ledger)["level"] == "corporate"
    pattern = mini(
        ('level = "plan"', "level = { column = \"plan\", pattern = '^Contrato (\\w)' }"),
    )
    line = rows("new", case="D")[0].replace("|B|", "|Contrato A (2026)|")
    bring(line, mapping=pattern)
    assert ticket(ledger, "D")["level"] == "advanced"
    odd = bring(rows("new", case="E")[0].replace("|B|", "|ninguno|"), mapping=pattern)
    assert [reject.reason.facts["field"] for reject in odd.rejected] == ["plan"]


@pytest.mark.parametrize("blank", ["", "?", " "])
def test_blank_values_mean_what_the_defaults_say(ledger: Ledger, bring: Bring, blank: str) -> None:
    defaults = '[defaults]\nlevel = "advanced"\npriority = "high"\nagent = "mesa"\naccount = "Varios"\n'
    line = f"C|{blank}|{blank}|02.03.2026 09:00|new|{blank}|{blank}"
    assert len(bring(line).rejected) == 1, "without a default it is rejected"
    bring(line, mapping=mini(bottom=defaults))
    opened = ledger.ticket("C").opened
    assert (opened.customer_no, opened.by, opened.level, opened.priority) == ("Varios", "mesa", "advanced", "high")


def test_other_values_may_be_the_blank_ones(ledger: Ledger, bring: Bring) -> None:
    bring(rows("new", case="D")[0].replace("|eva|", "|unassigned|"), mapping=mini(top='blank = ["", "unassigned"]'))
    assert ledger.ticket("D").opened.by == ""


def test_asking_the_customer_answers_and_waits(ledger: Ledger, bring: Bring) -> None:
    asked = mini(('ask = "wait"', 'ask = ["respond", "wait"]'))
    bring(*rows("new", "ask"), mapping=asked)
    case = ticket(ledger)
    assert (case["verdict"], case["responded_at"][11:16], case["waiting_since"][11:16]) == ("met", "09:01", "09:01")
    waiting = next(fact for fact in ledger.ticket("C").facts if isinstance(fact, f.TicketWaiting))
    assert waiting.answers
    bring(*rows("new", "ask", case="D"))
    assert ticket(ledger, "D")["responded_at"] is None, "where the mapping does not say so, it answers nothing"
    assert bring(*rows("new", "ask"), mapping=asked).imported == 0


def test_only_a_change_of_state_counts(ledger: Ledger, bring: Bring) -> None:
    states = mini(top="only_on_change = true")
    bring(*rows("new", "done", "done", "done"), mapping=states)
    assert told(ledger) == ["1 opened", "2 resolved", "3 noted", "4 noted"]
    bring(*rows("new", "ask", "ask", "done", "shut", "memo", "done", case="D"), mapping=states)
    assert [one.partition(" ")[2] for one in told(ledger, "D")] == [
        "opened", "waiting", "noted", "resumed", "resolved", "noted", "reopened", "noted", "resolved"
    ]  # fmt: skip
    bring(*rows("new", "done", "done", case="E"))
    assert "reopened" in " ".join(told(ledger, "E")), "without it a second resolution reopens, as before"
    for case in ("C", "D"):
        acts = {"C": ("new", "done", "done", "done"), "D": ("new", "ask", "ask", "done", "shut", "memo", "done")}[case]
        assert bring(*rows(*acts, case=case), mapping=states).imported == 0


def test_a_row_that_repeats_its_state_may_change_the_priority(ledger: Ledger, bring: Bring) -> None:
    bring(*rows("memo", "memo/3"), mapping=mini(top="only_on_change = true"))
    assert told(ledger) == ["1 opened", "2 noted", "2 prioritised"]
    assert ticket(ledger)["due_at"][11:16] == "11:01"


@pytest.mark.parametrize(
    ("channel", "prio", "counts"), [("web", "1", True), ("tel", "1", False), ("chat", "1", False), ("chat", "3", True)]
)
def test_the_channel_is_a_columns(ledger: Ledger, bring: Bring, channel: str, prio: str, counts: bool) -> None:
    table = '[channels]\nweb = "platform"\ntel = "phone"\nchat = "chat"\n'
    made = mini(('activity = "what"', 'activity = "what"\nchannel = "via"'), bottom=table)
    lines = [f"{line}|{channel}" for line in rows("new", "answer", prio=prio)]
    bring(*lines, mapping=made, head=f"{HEAD}|via")
    assert bool(ticket(ledger)["responded_at"]) is counts
    odd = bring(f"{rows('new', case='D')[0]}|fax", mapping=made, head=f"{HEAD}|via")
    assert [reject.reason.facts["field"] for reject in odd.rejected] == ["via"]
    assert bring(*(f"{line}|" for line in rows("new", "answer", case="E")), mapping=made, head=f"{HEAD}|via").tickets


def test_a_priority_beyond_three_has_a_limit_of_its_own(ledger: Ledger, bring: Bring) -> None:
    own = mini(('3 = "high"', '3 = "high"\n4 = { priority = "high", limit = "30m" }'))
    bring(*rows("new", prio="4"), mapping=own)
    opened = ledger.ticket("C").opened
    assert (opened.priority, opened.stated, opened.limit_us) == ("high", "4", 1_800_000_000)
    assert ticket(ledger)["due_at"][11:16] == "09:30"
    told_ = ledger.ask("explain", {"ticket": "C"})
    assert (told_["limit_us"], told_["stated"], told_["reproduced"]) == (1_800_000_000, "4", True)
    bring(*rows("new/3", "memo/4", "memo/3", case="D"), mapping=own)
    case = ticket(ledger, "D")
    assert (case["due_at"][11:16], case["priority"]) == ("09:31", "high"), "from high to critical is a raise"
    assert ledger.ask("explain", {"ticket": "D"})["limit_us"] == 1_800_000_000
    assert bring(*rows("new/3", "memo/4", "memo/3", case="D"), mapping=own).imported == 0
    limits = '{ basic = "90m", advanced = "45m", corporate = "30m" }'
    by_level = mini(('3 = "high"', f'3 = "high"\n4 = {{ priority = "high", limit = {limits} }}'))
    bring(*rows("new", prio="4", case="E"), mapping=by_level)
    assert ticket(ledger, "E")["due_at"][11:16] == "10:30"


def test_a_limit_of_its_own_stands_in_a_what_if_until_another_is_named(ledger: Ledger, bring: Bring) -> None:
    own = mini(('3 = "high"', '3 = "high"\n4 = { priority = "high", limit = "1m" }'))
    bring(*rows("new/4", "memo/4", "answer/4"), *rows("new/3", "memo/4", "memo/4", "answer/4", case="D"), mapping=own)
    assert [ticket(ledger, number)["verdict"] for number in "CD"] == ["breached", "breached"]
    for when in ({}, {"at": "2026-06-01T00:00:00Z"}):  # from the rows of the read model, and folded from the log
        for same in ({"limits": {"basic/low": "8h"}}, {"calendars": {"basic/high": "24x7"}}, {"pause": "waiting"}):
            assert ledger.ask("what_if", {**same, **when})["scenarios"][0]["flips_total"] == 0, (same, when)
        named = ledger.ask("what_if", {"limits": {"basic/high": "2h"}, "explain": True, **when})["scenarios"][0]
        found = {flip["ticket"]: (flip["before"], flip["after"], flip["explained"]) for flip in named["flips"]}
        assert sorted(found) == ["C", "D"], when
        for before, after, explained in found.values():
            assert (before["limit"], after["limit"]) == ("1m", "2h"), when
            assert [explained[side]["due_at"] for side in ("before", "after")] == [before["due_at"], after["due_at"]]
            assert [explained[side].get("stated") for side in ("before", "after")] == ["4", None]
            assert explained["after"]["reproduced"], when


def test_rows_of_one_instant_follow_their_sequence(ledger: Ledger, bring: Bring) -> None:
    """Low then high in the same minute is a raise; the other way round it is a lowering."""
    sequence = mini(('activity = "what"', 'activity = "what"\nsequence = "n"'))
    low, high = (f"C|Ixchel|eva|02.03.2026 09:00|memo|B|{prio}|{n}" for prio, n in (("1", 9), ("3", 10)))
    bring(high, low, mapping=sequence, head=f"{HEAD}|n")
    assert (ticket(ledger)["verdict_priority"], ledger.ticket("C").opened.priority) == ("high", "low")


# --- the other system's verdicts -------------------------------------------------------------------------------------

THEIRS = '[theirs]\nverdict = "sla"\nvalues = { ok = "met", late = "breached" }\nignored = ["-"]\ndue = "until"\n'


def test_their_verdicts_are_kept_and_compared(ledger: Ledger, bring: Bring, tmp_path: Path, sqlite_url: str) -> None:
    head = f"{HEAD}|sla|until"
    made = mini(('3 = "high"', '3 = "high"\n4 = { priority = "high", limit = "30m" }'), bottom=THEIRS)

    def case(number: str, verdict: str, until: str, *acts: str, prio: str = "1") -> list[str]:
        return [f"{line}|{verdict}|{until}" for line in rows(*acts, case=number, prio=prio)]

    lines = [
        *case("A", "ok", "", "new", "answer"),
        *case("B", "late", "02.03.2026 09:01", "new", "memo", "answer"),  # their due time is another one
        *case("P", "-", "", "new", "answer"),  # they say nothing: it is not compared
        *case("X", "ok", "", "new", "answer", "double"),  # excluded here
    ]
    # Answered nine hours after the opening, of which two were spent waiting.
    late = ["W|Ixchel|eva|02.03.2026 09:00|new|B|1|ok|", "W|Ixchel|eva|02.03.2026 09:10|ask|B|1|ok|"]
    late += ["W|Ixchel|eva|02.03.2026 11:10|back|B|1|ok|", "W|Ixchel|eva|02.03.2026 18:00|answer|B|1|ok|"]
    bring(*lines, *late, mapping=made, head=head)
    found = ledger.ask("compare", {})
    told_ = {row["ticket"]: row for row in found["tickets"]}
    assert {name: (row["verdict"], row["their_verdict"], row["agrees"]) for name, row in told_.items()} == {
        "A": ("met", "met", True),
        "B": ("met", "breached", False),
        "X": ("excluded", "met", False),
        "W": ("breached", "met", False),
    }
    assert {name: row["why"] for name, row in told_.items() if row["why"]} == {
        "B": ["their_due"], "X": ["excluded"], "W": ["pauses", "any_answer"]
    }  # fmt: skip
    totals = found["totals"]
    assert (totals["tickets"], totals["judged"], totals["agree"], totals["differ"]) == (4, 4, 1, 3)
    assert (totals["ours_met_bp"], totals["theirs_met_bp"]) == (6666, 7500)
    assert bring(*lines, *late, mapping=made, head=head).imported == 0
    assert [row["ticket"] for row in ledger.ask("compare", {"differing": True})["tickets"]] == ["B", "W", "X"]
    # On the command line, in each format.
    shown = program(sqlite_url, "sla", "compare").stdout
    assert "they do not count the time spent waiting on the customer" in shown
    assert "el otro sistema no cuenta el tiempo en espera" in program(sqlite_url, "sla", "compare", lang="es_GT").stdout
    answer = json.loads(program(sqlite_url, "sla", "compare", "--json").stdout)
    assert (answer["totals"], answer["tickets"]) == (found["totals"], found["tickets"])
    table = program(sqlite_url, "sla", "compare", "--format", "csv").stdout.splitlines()
    assert len(table) == 5
    assert table[0].startswith("ticket,customer,agent,level")
    for name in ("c.xlsx", "c.csv", "c.json"):
        assert program(sqlite_url, "sla", "compare", "--out", tmp_path / name).returncode == 0
        assert (tmp_path / name).stat().st_size > 100


def test_where_their_due_time_is_ours_no_other_limit_calendar_or_pause_is_why(ledger: Ledger, bring: Bring) -> None:
    made = mini(('3 = "high"', '3 = "high"\n4 = { priority = "high", limit = "30m" }'), bottom=THEIRS)
    late = ["02.03.2026 18:00|new|B|4", "02.03.2026 18:05|ask|B|4", "02.03.2026 18:20|back|B|4"]
    late.append("02.03.2026 18:30|answer|B|4")  # after hours, at the limit itself: each of them alone would have met it
    for case, due in (("C", ""), ("D", "02.03.2026 18:30")):
        lines = [f"{case}|Ixchel|eva|{line}|ok|{due}" for line in late]
        assert not bring(*lines, mapping=made, head=f"{HEAD}|sla|until").rejected
    told_ = {row["ticket"]: row["why"] for row in ledger.ask("compare", {})["tickets"]}
    assert told_ == {
        "C": ["same_limit", "pauses", "policy_limit", "calendar", "any_answer"],
        "D": ["same_limit", "any_answer"],
    }


def test_a_verdict_of_theirs_that_changes_is_the_last_one_said(ledger: Ledger, bring: Bring) -> None:
    head = f"{HEAD}|sla|until"
    made = mini(bottom=THEIRS)
    bring(*(f"{line}|ok|" for line in rows("new", "answer")), mapping=made, head=head)
    position = ledger.store.last_position()
    changed = [f"{line}|late|" for line in rows("new", "answer")]
    bring(*changed, mapping=made, head=head)
    assert ledger.ask("compare", {})["tickets"][0]["their_verdict"] == "breached"
    assert ledger.store.last_position() > position
    position = ledger.store.last_position()
    bring(*changed, mapping=made, head=head)
    assert ledger.store.last_position() == position
    assert ticket(ledger)["verdict"] == "met", "it moves nothing of ours"


# --- day and month ---------------------------------------------------------------------------------------------------


def dated(*days: tuple[int, int], swapped: bool = False) -> list[str]:
    """Return one case a (month, day) of 2026, written day first, or month first."""
    return [
        f"C{n}|Ixchel|eva|{(f'{m:02}.{d:02}' if swapped else f'{d:02}.{m:02}')}.2026 09:00|new|B|1"
        for n, (m, d) in enumerate(days)
    ]


def test_a_format_that_swaps_day_and_month_is_noticed_before_anything_is_recorded(ledger: Ledger, bring: Bring) -> None:
    days = [(month, day) for month in range(1, 11) for day in (3, 14, 25)]
    with pytest.raises(Refused) as refused:
        bring(*dated(*days, swapped=True))
    assert refused.value.code == "dates_unreadable"
    assert refused.value.facts["other"] == "%m.%d.%Y %H:%M"
    assert ledger.store.last_position() == 0
    assert "%m.%d.%Y" in refused.value.message("es_GT")
    tried = bring(*dated(*days, swapped=True), dry_run=True)
    assert tried.doubt is not None
    sure = MINI.replace('zone = "America/Guatemala"', 'zone = "America/Guatemala"\nsure = true')
    assert len(bring(*dated(*days, swapped=True), mapping=sure).rejected) == 20
    assert len(bring(*dated(*days)).rejected) == 0


def test_dates_that_lie_ahead_or_are_all_early_are_doubted(ledger: Ledger, bring: Bring) -> None:
    early = [(1, day) for day in range(1, 13)]  # the first twelve days of January: read wrongly, of twelve months
    with pytest.raises(Refused, match="dates_ahead"):
        bring(*dated(*(early * 4), swapped=True))
    many = [(month, day) for month in range(1, 11) for day in range(1, 12)]
    with pytest.raises(Refused, match="dates_all_early"):
        bring(*dated(*many))
    few = [(2, day) for day in range(1, 11)]
    assert bring(*dated(*few)).imported == 10, "the first days of a month are no doubt"


def test_dates_that_run_back_and_forth_in_their_case_are_doubted(bring: Bring) -> None:
    """Each case runs through the first days of a few months: read wrongly, it goes back and forth."""
    lines = [
        f"C{n}|Ixchel|eva|{month:02}.{day:02}.2026 09:00|memo|B|1"
        for n in range(6)
        for month, day in ((1, 5), (2, 3), (3, 9), (4, 2), (5, 7), (6, 1))
    ]
    with pytest.raises(Refused) as refused:
        bring(*lines)
    assert refused.value.code == "dates_back_and_forth"


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        (('level = "plan"\n', ""), "columns.level"),
        (('account = "who"\n', ""), "columns.account"),
        (('level = "plan"', "level = { column = \"plan\", pattern = '(' }"), "columns.level.pattern"),
        (('3 = "high"', '3 = { priority = "high", limit = "soon" }'), "priorities.3.limit"),
        (('3 = "high"', '3 = { priority = "urgent", limit = "1h" }'), "priorities.3"),
        (('3 = "high"', '3 = { priority = "high", limit = { basic = "1h" } }'), "priorities.3.limit"),
        (('ask = "wait"', 'ask = ["wait", "resolve"]'), "activities.ask"),
        (('activity = "what"', 'activity = "what"\nchannel = "via"'), "channels"),
        (('delimiter = "|"', 'delimiter = "|"\nsecond_lines = "last_instant"'), "second_lines"),
        (('memo = "note"', 'memo = "note"\n[defaults]\nlevel = "gold"'), "defaults.level"),
        (('memo = "note"', 'memo = "note"\n[theirs]\nignored = []'), "theirs"),
        (('memo = "note"', 'memo = "note"\n[theirs]\nverdict = "sla"'), "theirs.values"),
        (('memo = "note"', 'memo = "note"\n[channels]\nfax = "fax"'), "channels.fax"),
    ],
)  # fmt: skip
def test_a_mapping_with_a_mistake_says_where_in_both_languages(
    tmp_path: Path, change: tuple[str, str], entry: str
) -> None:
    (tmp_path / "wrong.toml").write_text(mini(change), "utf-8")
    with pytest.raises(MappingError) as refused:
        load_mapping(tmp_path / "wrong.toml")
    assert refused.value.facts["entry"] == entry
    for lang in ("es_GT", "en"):
        assert entry in refused.value.message(lang)
        assert "?" not in refused.value.message(lang)

"""The sandbox gateway keeps its word: one payment a reference, whatever times out, races or is killed."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from ledger.errors import Conflict, LedgerError, Malformed, NotFound, Unavailable
from ledger.gateways import Gateway, GatewayAnswer, GatewayRequest, GatewayTimeout, NoGateway, gateway_of
from ledger.gateways.sandbox import OUTCOMES, Sandbox
from ledger.store import Store, open_store

AT = "2026-01-31T06:00:00.000000Z"
SOON = "2026-01-31T06:59:59.999999Z"
LATER = "2026-01-31T07:00:00.000000Z"
REQUEST = GatewayRequest("C-1-S1-r1-a1", "C-1", "tok_ok", 25_000, "GTQ", AT)


@pytest.fixture(name="store")
def _store(store_url: str) -> Iterator[Store]:
    store = open_store(store_url)
    store.migrate()
    yield store
    store.close()


@pytest.fixture(name="sandbox")
def _sandbox(store: Store) -> Sandbox:
    return Sandbox(store)


def another(reference: str, **changed: Any) -> GatewayRequest:
    return replace(REQUEST, reference=reference, **changed)


def listening(sandbox: Sandbox) -> list[GatewayAnswer]:
    heard: list[GatewayAnswer] = []
    sandbox.listener = heard.append
    return heard


# --- what it is told to do ------------------------------------------------------------------------------------------


def test_a_payment_is_taken_once_however_often_it_is_asked_for(sandbox: Sandbox) -> None:
    first = sandbox.charge(REQUEST)
    assert (first.outcome, first.at, first.code, first.final) == ("succeeded", AT, "", False)
    assert first.gateway_reference
    assert sandbox.charge(REQUEST) == sandbox.charge(replace(REQUEST, at=LATER)) == first
    assert sandbox.look_up(REQUEST.reference, LATER) == first
    assert sandbox.taken() == {"GTQ": 25_000}


@pytest.mark.parametrize(
    ("scripted", "code", "final"), [("declined", "insufficient_funds", False), ("declined_final", "stolen_card", True)]
)
def test_a_refusal_says_why_and_whether_for_good_and_takes_nothing(
    sandbox: Sandbox, scripted: str, code: str, final: bool
) -> None:
    sandbox.script("C-1", [scripted])
    refused = sandbox.charge(REQUEST)
    assert (refused.outcome, refused.code, refused.final, refused.at) == ("refused", code, final, AT)
    assert sandbox.charge(REQUEST) == sandbox.look_up(REQUEST.reference, LATER) == refused, "the first answer stands"
    assert sandbox.taken() == {}
    assert sandbox.charge(another("a2")).outcome == "succeeded", "then ok"


def test_a_time_out_before_the_charge_took_nothing_and_asking_again_asks_anew(sandbox: Sandbox) -> None:
    sandbox.script("C-1", ["timeout_before_charge", "timeout_before_charge", "declined", "ok"])
    for _ in range(2):
        with pytest.raises(GatewayTimeout):
            sandbox.charge(REQUEST)
        assert sandbox.look_up(REQUEST.reference, LATER) == GatewayAnswer(REQUEST.reference, "unknown", LATER)
        assert (sandbox.taken(), sandbox.requests("C-1")) == ({}, [])
    again = replace(REQUEST, at=LATER)
    assert (sandbox.charge(again).outcome, sandbox.charge(again).at) == ("refused", LATER)
    assert sandbox.scripted("C-1") == ["ok"], "one used up a new attempt"


def test_a_time_out_after_the_charge_took_the_money_and_looking_up_tells(sandbox: Sandbox) -> None:
    sandbox.script("C-1", ["timeout_after_charge", "declined"])
    with pytest.raises(GatewayTimeout):
        sandbox.charge(REQUEST)
    assert sandbox.taken() == {"GTQ": 25_000}
    found = sandbox.look_up(REQUEST.reference, LATER)
    assert (found.outcome, found.at) == ("succeeded", AT)
    assert sandbox.charge(replace(REQUEST, at=LATER)) == found, "never a second charge"
    assert (sandbox.taken(), sandbox.scripted("C-1")) == ({"GTQ": 25_000}, ["declined"])


def test_a_late_answer_is_pending_for_an_hour_and_is_dated_when_it_came(sandbox: Sandbox) -> None:
    sandbox.script("C-1", ["late"])
    pending = sandbox.charge(REQUEST)
    assert (pending.outcome, pending.at) == ("pending", AT)
    assert sandbox.charge(replace(REQUEST, at=SOON)) == sandbox.look_up(REQUEST.reference, SOON) == pending
    assert sandbox.taken(SOON) == {}
    came = sandbox.look_up(REQUEST.reference, LATER)
    assert came == replace(pending, outcome="succeeded", at=LATER)
    assert sandbox.look_up(REQUEST.reference, "2026-05-01T00:00:00.000000Z") == came
    assert sandbox.taken(LATER) == sandbox.taken() == {"GTQ": 25_000}


def test_twice_delivers_the_same_answer_once_more_after_it(sandbox: Sandbox) -> None:
    heard = listening(sandbox)
    sandbox.script("C-1", ["twice"])
    answer = sandbox.charge(REQUEST)
    assert heard == []
    assert (sandbox.deliver(), heard) == (1, [answer])
    assert (sandbox.deliver(), heard) == (0, [answer])
    assert sandbox.taken() == {"GTQ": 25_000}


def test_a_webhook_may_come_before_its_answer(sandbox: Sandbox) -> None:
    heard: list[tuple[GatewayAnswer, GatewayAnswer]] = []

    def listen(answer: GatewayAnswer) -> None:
        heard.append((answer, sandbox.look_up(answer.reference, answer.at)))

    sandbox.listener = listen
    sandbox.script("C-1", ["webhook_first"])
    answer = sandbox.charge(REQUEST)
    assert heard == [(answer, answer)], "heard before it is returned, and the books say so by then"
    assert sandbox.charge(REQUEST) == answer
    assert len(heard) == 1


def test_a_contradiction_comes_after_the_answer_and_changes_no_books(sandbox: Sandbox) -> None:
    heard = listening(sandbox)
    sandbox.script("C-1", ["contradict"])
    answer = sandbox.charge(REQUEST)
    assert (answer.outcome, heard) == ("succeeded", [])
    assert sandbox.look_up(REQUEST.reference, AT) == answer, "any call delivers what waits"
    assert heard == [replace(answer, outcome="refused", code="do_not_honor")]
    assert sandbox.taken() == {"GTQ": 25_000}


def test_a_listener_that_refuses_does_not_take_the_answer_away(sandbox: Sandbox) -> None:
    def refuse(answer: GatewayAnswer) -> None:
        raise NotFound("unknown_attempt", attempt=answer.reference)

    sandbox.listener = refuse
    sandbox.script("C-1", ["webhook_first", "twice"])
    assert sandbox.charge(REQUEST).outcome == sandbox.charge(another("a2")).outcome == "succeeded"
    assert (sandbox.deliver(), sandbox.deliver()) == (1, 0)


def test_a_mistake_of_the_listener_is_seen_and_the_money_is_in_the_books(sandbox: Sandbox) -> None:
    def stumble(_answer: GatewayAnswer) -> None:
        raise ZeroDivisionError

    sandbox.listener = stumble
    sandbox.script("C-1", ["webhook_first"])
    with pytest.raises(ZeroDivisionError):
        sandbox.charge(REQUEST)
    assert sandbox.look_up(REQUEST.reference, AT).outcome == "succeeded"


def test_a_script_belongs_to_an_account_is_added_to_and_is_used_up_in_order(sandbox: Sandbox, store: Store) -> None:
    sandbox.script("C-1", ["declined", "ok"])
    Sandbox(store).script("C-1", ["declined_final"])
    sandbox.script("C-1", [])
    assert sandbox.scripted("C-1") == ["declined", "ok", "declined_final"]
    assert sandbox.charge(another("other", account="C-2")).outcome == "succeeded"
    codes = [Sandbox(store).charge(another(f"a{n}")).code for n in range(4)]
    assert codes == ["insufficient_funds", "", "stolen_card", ""]
    assert [(row.reference, row.code) for row in sandbox.requests("C-1")] == [(f"a{n}", codes[n]) for n in range(4)]


def test_an_outcome_that_it_does_not_know_is_refused_and_nothing_of_it_is_kept(sandbox: Sandbox) -> None:
    with pytest.raises(Malformed) as refused:
        sandbox.script("C-1", ["ok", "explode"])
    assert all(outcome in refused.value.message() for outcome in OUTCOMES)
    assert sandbox.scripted("C-1") == []


# --- tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "code", "final"),
    [
        ("tok_ok", "", False),
        ("tok_visa_1234", "", False),
        ("tok_declined", "insufficient_funds", False),
        ("tok_stolen", "stolen_card", True),
        ("tok_", "no_such_card", True),
        ("card_1", "no_such_card", True),
        ("", "no_such_card", True),
    ],
)
def test_a_token_decides_where_nothing_is_scripted(sandbox: Sandbox, token: str, code: str, final: bool) -> None:
    assert sandbox.check_token(token) is (code != "no_such_card")
    answer = sandbox.charge(replace(REQUEST, token=token))
    assert (answer.outcome, answer.code, answer.final) == ("refused" if code else "succeeded", code, final)
    assert sandbox.taken() == ({} if code else {"GTQ": 25_000})


def test_a_script_goes_before_the_token_but_cannot_make_one(sandbox: Sandbox) -> None:
    sandbox.script("C-1", ["declined", "ok"])
    assert sandbox.charge(replace(REQUEST, token="nothing")).code == "no_such_card"
    assert sandbox.scripted("C-1") == ["declined", "ok"]
    assert sandbox.charge(another("a2")).code == "insufficient_funds"
    assert sandbox.charge(another("a3", token="tok_stolen")).outcome == "succeeded"


# --- refunds --------------------------------------------------------------------------------------------------------


def test_a_refund_gives_back_at_most_what_was_taken(sandbox: Sandbox) -> None:
    of = sandbox.charge(REQUEST).gateway_reference
    part = sandbox.refund(another("r1", amount=10_000), of)
    assert (part.outcome, part.code, sandbox.taken()) == ("succeeded", "", {"GTQ": 15_000})
    over = sandbox.refund(another("r2", amount=15_001), of)
    assert (over.outcome, over.code, sandbox.taken()) == ("refused", "exceeds_charge", {"GTQ": 15_000})
    rest = sandbox.refund(another("r3", amount=15_000, at=LATER), of)
    assert (rest.outcome, rest.at, sandbox.taken()) == ("succeeded", LATER, {"GTQ": 0})
    assert sandbox.refund(another("r4", amount=1), of).code == "exceeds_charge"
    assert len({part.gateway_reference, over.gateway_reference, rest.gateway_reference, of}) == 4


def test_a_refund_is_given_once_however_often_it_is_asked_for(sandbox: Sandbox) -> None:
    of = sandbox.charge(REQUEST).gateway_reference
    request = another("r1", amount=10_000)
    first = sandbox.refund(request, of)
    assert sandbox.refund(replace(request, at=LATER), of) == sandbox.look_up("r1", LATER) == first
    assert sandbox.taken() == {"GTQ": 15_000}
    refused = sandbox.refund(another("r2", amount=20_000), of)
    assert sandbox.refund(another("r2", amount=20_000), of) == refused


def test_only_a_payment_that_came_can_be_given_back(sandbox: Sandbox) -> None:
    sandbox.script("C-1", ["declined", "late", "ok"])
    declined, late, paid = (sandbox.charge(another(f"a{n}")).gateway_reference for n in range(3))
    assert sandbox.refund(another("r1"), "sbx_nothing").code == "unknown_payment"
    assert sandbox.refund(another("r2"), declined).code == "unknown_payment"
    assert sandbox.refund(another("r3", at=SOON), late).code == "unknown_payment"
    assert sandbox.refund(another("r4", currency="USD"), paid).code == "wrong_currency"
    assert sandbox.taken() == {"GTQ": 50_000}
    assert sandbox.refund(another("r5", at=LATER), late).outcome == "succeeded"
    given_back = sandbox.look_up("r5", LATER).gateway_reference
    assert sandbox.refund(another("r6", at=LATER), given_back).code == "unknown_payment", "a refund is no payment"


def test_currencies_are_never_mixed(sandbox: Sandbox) -> None:
    sandbox.charge(REQUEST)
    sandbox.charge(another("a2", currency="USD", amount=3_200))
    assert sandbox.taken() == {"GTQ": 25_000, "USD": 3_200}


@pytest.mark.parametrize(
    "changed", [{"amount": 1}, {"currency": "USD"}, {"account": "C-2"}, {"token": "tok_other"}], ids=str
)
def test_a_reference_used_for_something_else_is_our_mistake(sandbox: Sandbox, changed: dict[str, Any]) -> None:
    of = sandbox.charge(REQUEST).gateway_reference
    sandbox.refund(another("r1"), of)
    calls: list[Callable[[], Any]] = [
        lambda: sandbox.charge(replace(REQUEST, **changed)),
        lambda: sandbox.refund(REQUEST, of),
        lambda: sandbox.charge(another("r1")),
        lambda: sandbox.refund(another("r1"), "sbx_other"),
    ]
    for call in calls:
        with pytest.raises(Conflict) as refused:
            call()
        assert refused.value.code == "reference_reused"
    assert sandbox.taken() == {"GTQ": 0}


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_and_less_cannot_be_asked_for(amount: int) -> None:
    with pytest.raises(ValueError, match="above zero"):
        replace(REQUEST, amount=amount)


# --- opening one ----------------------------------------------------------------------------------------------------


def test_a_gateway_is_opened_by_its_name(store: Store) -> None:
    opened: Gateway = gateway_of("sandbox", store)
    assert (opened.name, opened.charge(REQUEST).outcome) == ("sandbox", "succeeded")
    with pytest.raises(Unavailable) as refused:
        gateway_of("stripe", store)
    assert (refused.value.code, refused.value.facts["known"]) == ("gateway_unknown", "none, sandbox")


def test_without_a_gateway_no_card_is_charged() -> None:
    none: Gateway = NoGateway()
    assert (none.name, none.check_token("tok_ok")) == ("none", False)
    calls: list[Callable[[], Any]] = [
        lambda: none.charge(REQUEST),
        lambda: none.refund(REQUEST, "sbx"),
        lambda: none.look_up("a", AT),
    ]
    for call in calls:
        with pytest.raises(Unavailable) as refused:
            call()
        assert refused.value.code == "no_gateway"


def test_books_that_are_not_there_say_so(sqlite_url: str) -> None:
    with pytest.raises(Unavailable) as refused:
        Sandbox(open_store(sqlite_url)).charge(REQUEST)
    assert refused.value.code == "database_missing"


# --- many at once, and killed ---------------------------------------------------------------------------------------


def at_once(acts: list[Callable[[], str]]) -> Counter[str]:
    """Let every act run in a thread of its own, all at once; return what came out, and how often."""
    found: list[str] = []
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], str]) -> None:
        start.wait()
        try:
            found.append(act())
        except (LedgerError, GatewayTimeout) as error:
            found.append(type(error).__name__)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(found)


def test_one_of_many_at_once_takes_the_payment_and_all_get_its_answer(store: Store) -> None:
    sandboxes = [Sandbox(store) for _ in range(8)]
    sandboxes[0].script("C-1", ["ok", *["declined"] * 7])
    acts: list[Callable[[], str]] = [lambda s=s: s.charge(REQUEST).outcome for s in sandboxes]  # type: ignore[misc]
    assert at_once(acts) == {"succeeded": 8}
    assert (sandboxes[0].taken(), len(sandboxes[0].scripted("C-1"))) == ({"GTQ": 25_000}, 7)


def test_many_at_once_use_up_each_outcome_once(store: Store) -> None:
    sandbox = Sandbox(store)
    sandbox.script("C-1", ["declined"] * 3 + ["timeout_before_charge"] * 2 + ["declined_final"] * 2)
    acts: list[Callable[[], str]] = [
        lambda n=n: (lambda a: a.code or a.outcome)(Sandbox(store).charge(another(f"a{n}")))  # type: ignore[misc]
        for n in range(9)
    ]
    assert at_once(acts) == {"insufficient_funds": 3, "GatewayTimeout": 2, "stolen_card": 2, "succeeded": 2}
    assert sandbox.scripted("C-1") == []


def test_scripts_written_at_once_are_all_kept(store: Store) -> None:
    def script() -> str:
        Sandbox(store).script("C-1", ["declined", "ok"])
        return "kept"

    assert at_once([script] * 6) == {"kept": 6}
    assert Sandbox(store).scripted("C-1") == ["declined", "ok"] * 6, "each script in one piece"


def test_refunds_at_once_never_exceed_the_payment(store: Store) -> None:
    sandbox = Sandbox(store)
    of = sandbox.charge(REQUEST).gateway_reference
    acts: list[Callable[[], str]] = [
        lambda n=n: Sandbox(store).refund(another(f"r{n}", amount=10_000), of).outcome  # type: ignore[misc]
        for n in range(8)
    ]
    assert at_once(acts) == {"succeeded": 2, "refused": 6}
    assert sandbox.taken() == {"GTQ": 5_000}


PROCESS = """
import sys
from ledger.gateways import GatewayRequest, GatewayTimeout
from ledger.gateways.sandbox import Sandbox
from ledger.store import open_store
sandbox = Sandbox(open_store(sys.argv[1]))
for number in range(int(sys.argv[2]), 100_000):
    reference = f"a{number}"
    print("asking", reference, flush=True)
    try:
        answer = sandbox.charge(GatewayRequest(reference, "C-1", "tok_ok", 100, "GTQ", sys.argv[3]))
        print(answer.outcome, reference, flush=True)
    except GatewayTimeout:
        print("timeout", reference, flush=True)
"""


def killed_midway(url: str, first: int, lines: int) -> list[list[str]]:
    """Charge in another process from number `first` on, kill -9 it after some lines, return all it said."""
    command = [sys.executable, "-c", PROCESS, url, str(first), AT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.readlines()
    return [line.split() for line in said if line.endswith("\n")]


def test_a_kill_leaves_what_a_lost_answer_leaves(store: Store, store_url: str) -> None:
    """Whatever was answered stands; what was not is looked up, asked again if unknown, and taken exactly once."""
    sandbox = Sandbox(store)
    choose = random.Random(4)
    script = [choose.choice(["ok", "declined", "timeout_before_charge", "timeout_after_charge"]) for _ in range(400)]
    sandbox.script("C-1", script)
    asked: dict[str, str] = {}
    for _ in range(5):
        for word, reference in killed_midway(store_url, len(asked), choose.randrange(1, 24)):
            asked[reference] = word
    # In one look: PostgreSQL may still be finishing what the last one asked before it was killed.
    sql = "SELECT (SELECT count(*) FROM sandbox_script), (SELECT count(*) FROM sandbox_requests)"
    ((left, kept),) = store.query(sql)
    used = script[: len(script) - left]
    assert kept == len(used) - used.count("timeout_before_charge"), "both or none"
    for reference, word in asked.items():
        while (found := sandbox.look_up(reference, LATER)).outcome == "unknown":
            assert word in ("asking", "timeout"), "what was answered stands"
            with suppress(GatewayTimeout):
                sandbox.charge(another(reference, amount=100))
        assert word in ("asking", "timeout", found.outcome)
    rows = Counter(row.outcome for row in sandbox.requests("C-1"))
    assert rows.total() == len(asked) > 5
    assert sandbox.taken() == {"GTQ": 100 * rows["succeeded"]}

"""`supportledger scheduler once|run`: the jobs, run once by hand or by the system's timer, or at intervals."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from ledger.application import Ledger
from ledger.cli_group import Commands
from ledger.cli_show import show_record
from ledger.errors import Refused
from ledger.progress import long_work
from ledger.rules.instants import parse_instant, show, to_iso
from projections.cli import projector_of
from scheduler import jobs
from scheduler.cli_notices import notices_group


def register(root: click.Group) -> None:
    """Add this package's commands to the root."""
    root.add_command(scheduler_group)
    root.add_command(notices_group)


@click.group("scheduler", cls=Commands)
def scheduler_group() -> None:
    """Lo que vence con el tiempo · what falls due as time passes."""


@scheduler_group.command("once")
@click.option("--at", metavar="INSTANT", help="como si fuera entonces · as if it ran then (RFC 3339, not ahead)")
@click.option("--job", "names", multiple=True, metavar="NAME", help=", ".join(jobs.JOBS))
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def once(ctx: click.Context, at: str | None, names: Sequence[str], as_json: bool) -> None:
    """Correr las tareas una vez · run the jobs once, in their order; again: nothing more. Exit 1 when one failed."""
    chosen = jobs.in_order(names)
    with projector_of(ctx) as (ledger, projector):
        now = _instant(ledger, at)
        outcomes = []
        for name in chosen:
            with long_work("work_jobs") as tick:
                outcomes.append(jobs.run(name, ledger, projector, now=now, progress=tick))
        answer: dict[str, Any] = {
            "at": show(now, ledger.catalogue.zone),
            **_sums(outcomes),
            "jobs": [outcome.as_json() for outcome in outcomes],
        }
    if not as_json:
        answer["jobs"] = [{"job": one.job, "summary": one.summary, "error": one.error} for one in outcomes]
    show_record(answer, ctx.obj["lang"], as_json)
    if any(outcome.error for outcome in outcomes):
        sys.exit(1)


@scheduler_group.command("run")
@click.option("--every", type=click.FloatRange(0.1, 86400), metavar="SECONDS", help="entre dos corridas · between runs")
@click.option("--job", "names", multiple=True, metavar="NAME", help=", ".join(jobs.JOBS))
@click.option("--with-projections", is_flag=True, help="lecturas al día · keep read models up too")
@click.pass_context
def run(ctx: click.Context, every: float | None, names: Sequence[str], with_projections: bool) -> None:
    """Correr las tareas sin parar · run the jobs at intervals until SIGTERM or SIGINT; a line a run that did something.

    De varios procesos uno dirige y otro lo releva si muere · of several started one leads, another takes over.
    """
    from scheduler.runner import Runner, intervals  # here, so that no other command waits for APScheduler

    chosen = intervals(every, names, projections=with_projections)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    with projector_of(ctx) as (ledger, projector):
        runner = Runner(ledger, projector, every=chosen)
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: runner.stop())
        runner.run()


def _instant(ledger: Ledger, at: str | None) -> str:
    """Return the instant to run at: the ledger's now, or one before it; Refused for one ahead."""
    now = ledger.clock.now()
    if at is None:
        return now
    wanted = to_iso(parse_instant(at, "at"))
    if wanted > now:
        raise Refused("ahead_of_now", at=wanted, now=now)
    return wanted


def _sums(outcomes: Sequence[jobs.Outcome]) -> dict[str, int]:
    """Return the counts of the fall-due sweep, both its runs together."""
    due = [outcome.summary for outcome in outcomes if outcome.job == "due"]
    return {name: sum(summary.get(name, 0) for summary in due) for name in ("accounts", "facts")} if due else {}

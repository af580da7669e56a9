"""`supportledger sla what-if`: every verdict under other limits, calendars, holidays, zones or pausing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ledger.application import Ledger
from ledger.cli_context import asker, ledger_of
from ledger.cli_files import whole_file
from ledger.cli_show import label, show_rows
from ledger.commands_whatif import MOST_FLIPS
from ledger.errors import Malformed
from ledger.explaining_words import sentence
from ledger.rules.instants import from_iso, local_date
from ledger.scenarios import CELLS, PAUSES, Scenario, load_file, parse_limits, parse_text
from ledger.texts import text
from projections.whatif_chart import Row, draw

Answer = dict[str, Any]


def register(sla: click.Group) -> None:
    """Add this module's command to the group `sla`."""
    sla.add_command(what_if)


@click.command("what-if")
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="una política o escenarios · a policy, or scenarios",
)
@click.option("--limit", "limits", multiple=True, metavar="basic/high=1h", help="otro límite · another limit")
@click.option(
    "--calendar", "calendars", multiple=True, metavar="[basic/high=]NAME", help="otro calendario · another calendar"
)
@click.option("--holiday", "holidays", multiple=True, metavar="YYYY-MM-DD", help="otro asueto · another holiday")
@click.option("--zone", metavar="ZONE", help="otra zona · another zone")
@click.option("--pause", type=click.Choice(PAUSES), help="pausar al esperar · stand still while waiting")
@click.option(
    "--scenario", "scenarios", multiple=True, metavar="NAME:…", help="varios en una pasada · several in one pass"
)
@click.option("--aim", metavar="95", help="cuota que se busca · the share looked for")
@click.option("--for", "cell", metavar="basic/high", help="de qué límite, si no de todos · of which limit")
@click.option("--from", "since", metavar="YYYY-MM-DD", help="apertura desde · opened from")
@click.option("--to", "until", metavar="YYYY-MM-DD", help="apertura hasta, inclusive · opened to, included")
@click.option("--at", metavar="RFC3339", help="como era entonces · as it was then")
@click.option("--known-at", metavar="RFC3339", help="como se sabía entonces · as it was known then")
@click.option("--raw", is_flag=True, help="sin exclusiones · ignoring exclusions")
@click.option(
    "--flips",
    type=click.IntRange(0, MOST_FLIPS),
    default=20,
    show_default=True,
    help="casos que mostrar · cases to show",
)
@click.option("--explain", is_flag=True, help="explicar ambos veredictos · explain both verdicts")
@click.option(
    "--chart", type=click.Path(path_type=Path), metavar="FILE.svg", help="dibujar · draw the share over the limit"
)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def what_if(ctx: click.Context, /, chart: Path | None, as_json: bool, **given: Any) -> None:
    """Qué habría pasado con otra política; no escribe nada · what would have been; writes nothing."""
    lang = ctx.obj["lang"]
    values = _values(given, chart is not None)
    with ledger_of(ctx) as ledger:
        found = ledger.ask("what_if", values, caller=asker(ctx, ledger))
        if chart is not None:
            present = _present(ledger)
            rows = [Row(one["scenario"], one["curves"], present | _limits(one)) for one in found["scenarios"]]
            with whole_file(chart) as sink:
                sink.write(draw(rows, lang).encode())
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for scenario in found["scenarios"]:
        _show(scenario, lang, several=len(found["scenarios"]) > 1)
    if any(scenario["flips"] for scenario in found["scenarios"]):
        click.echo("\n" + sentence(text("times_of", lang, zone=found["zone"])))
    if chart is not None:
        click.echo("\n" + text("chart_written", lang, file=chart))


def _values(given: Answer, curve: bool) -> Answer:
    """Return the question's values of the options given."""
    names = {"cell": "for", "since": "from", "until": "to"}
    given = {name: value for name, value in given.items() if value not in (None, ()) and value is not False}
    values = {names.get(name, name): value for name, value in given.items()}
    for name in ("limits", "calendars", "holidays"):
        if name in values:
            values[name] = ",".join(values[name])
    several = [_scenario(part) for part in values.pop("scenarios", ())]
    policy = values.pop("policy", None)
    if policy is not None:
        several = [*load_file(policy), *several]
    if several:
        values["scenarios"] = several
    return values | ({"curve": True} if curve else {})


def _scenario(words: str) -> Scenario:
    name, colon, rest = words.partition(":")
    if not colon:
        raise Malformed("scenario", words, "remedy_scenario_text")
    return parse_text(rest, name.strip(), f"scenario.{name.strip()}")


def _present(ledger: Ledger) -> dict[tuple[str, str], int]:
    """Return today's limits in seconds."""
    catalogue, now = ledger.policy(), ledger.clock.now()
    today = local_date(from_iso(now), catalogue.zone)
    return {cell: catalogue.target(*cell, today, now).limit_us // 1_000_000 for cell in CELLS}


def _limits(scenario: Answer) -> dict[tuple[str, str], int]:
    """Return the limits that a scenario changes, in seconds."""
    given = parse_limits(scenario["limits"], "limits") if scenario["limits"] else {}
    return {cell: us // 1_000_000 for cell, us in given.items()}


def _show(scenario: Answer, lang: str, *, several: bool) -> None:
    if several:
        click.echo(f"\n{label('scenario', lang)}: {scenario['scenario']}")
    rows = [{"level": row["level"], "priority": row["priority"], **_sides(row)} for row in scenario["rows"]]
    show_rows([*rows, {"level": text("label_totals", lang), "priority": "", **_sides(scenario["totals"])}], lang)
    for warning in scenario["warnings"]:
        years = ", ".join(map(str, warning["years"]))
        click.echo("\n" + text(warning["code"], lang, calendar=warning["calendar"], years=years))
    for number, aim in enumerate(scenario.get("aims", ())):
        line = text(_aimed(aim), lang, **aim)
        click.echo(line if number else f"\n{line}")
    if not scenario["flips_total"]:
        found = any(aim["limit"] for aim in scenario.get("aims", ()))
        click.echo("\n" + text("whatif_aims_apart" if found else "whatif_no_flips", lang))
        return
    kinds = ", ".join(_kind(name, count, lang) for name, count in scenario["changed"].items())
    shown = len(scenario["flips"])
    key = "whatif_flips_one" if scenario["flips_total"] == 1 else "whatif_flips"
    click.echo("\n" + text(key, lang, total=scenario["flips_total"], kinds=kinds, shown=shown))
    show_rows([_flip(flip) for flip in scenario["flips"]], lang)
    for flip in scenario["flips"]:
        for side in flip.get("explained", {}).values():
            click.echo("\n" + "\n".join([*side["words"][lang], text("explain_hash", lang, hash=side["hash"])]))


def _aimed(aim: Answer) -> str:
    """Return the key of the sentence that tells what a search for a limit found."""
    if aim["limit"]:
        return "whatif_aim"
    return "whatif_aim_none" if aim["decided"] else "whatif_aim_undecided"


def _sides(row: Answer) -> Answer:
    """Return both sides of a row as cells: 33 → 40 where they differ."""
    before, after = row["before"], row["after"]
    cells = {name: _arrow(before[name], after[name]) for name in before if name != "share"}
    return cells | {"met_share": _arrow(*(side["share"] and f"{side['share']} %" for side in (before, after)))}


def _arrow(before: Any, after: Any) -> str:
    words = ["-" if value is None else str(value) for value in (before, after)]
    return words[0] if before == after else " → ".join(words)


def _kind(name: str, count: int, lang: str) -> str:
    was, _to, becomes = name.partition("_to_")
    words = (text(f"value_{word}", lang) for word in (was, becomes))
    return text("whatif_more_met", lang, count=count, **dict(zip(("was", "becomes"), words, strict=True)))


def _flip(flip: Answer) -> Answer:
    before, after = flip["before"], flip["after"]
    row = {
        "ticket": flip["ticket"],
        "level": before["level"],
        "priority": before["priority"],
        "started_at": flip["started_at"][:19].replace("T", " "),
        "responded_at": (flip["responded_at"] or "")[:19].replace("T", " "),
    }
    for suffix, side in (("", before), ("_after", after)):
        row |= {f"due{suffix or '_before'}": (side["due_at"] or "")[:19].replace("T", " ")}
        row |= {f"{name}{suffix}": side[name] for name in ("limit", "calendar", "verdict")}
    return row

"""A small help-desk log of our own making, in the form `helpdesk_mapping.toml` reads: for where no real one is."""

from __future__ import annotations

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path

COLUMNS = (
    "Case ID", "Activity", "Resource", "Complete Timestamp", "Variant", "Variant index", "Variant", "seriousness",
    "customer", "product", "responsible_section", "seriousness_2", "service_level", "service_type",
    "support_section", "workgroup",
)  # fmt: skip
_CASES, _CUSTOMERS, _AGENTS = 400, 40, 8


def write_log(path: Path, cases: int = _CASES, seed: int = 20100113) -> Path:
    """Write `cases` cases to `path`, the same ones each time for the same seed, and return the path."""
    chance = random.Random(seed)  # noqa: S311 - made-up data, not a secret
    start = datetime(2012, 1, 9, 8, 0)  # noqa: DTZ001 - naive local time, as the real log has it
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(1, cases + 1):
            start += timedelta(minutes=chance.randrange(5, 900))
            writer.writerows(_case(chance, number, start))
    return path


def _case(chance: random.Random, number: int, opened: datetime) -> list[list[str]]:
    customer, level = chance.randrange(1, _CUSTOMERS + 1), chance.randrange(1, 5)
    seriousness = chance.choice((1, 1, 2, 2, 3, 4))
    steps = [("Assign seriousness", 0)]
    if chance.random() < 0.95:
        steps.append(("Take in charge ticket", chance.randrange(1, 700)))
    if chance.random() < 0.3:
        steps += [("Wait", chance.randrange(5, 300)), ("Take in charge ticket", chance.randrange(60, 3000))]
    if chance.random() < 0.03:
        steps.append((chance.choice(("DUPLICATE", "INVALID")), chance.randrange(1, 60)))
    steps += [("Resolve ticket", chance.randrange(10, 4000)), ("Closed", 20_000)]
    rows, at = [], opened
    for activity, minutes in steps:
        at += timedelta(minutes=minutes)
        if activity == "Wait" and seriousness < 4:
            seriousness += chance.choice((0, 0, 1))
        stamp = at.strftime("%Y/%m/%d %H:%M:%S.000")
        agent = f"Value {chance.randrange(1, _AGENTS + 1)}"
        rows.append(
            [
                f"Case {number}", activity, agent, stamp, "Variant 1", "1", "Variant 1", "Value 1",
                f"Value {customer}", f"Value {chance.randrange(1, 9)}", "Value 1", f"Value {seriousness}",
                f"Value {level}", f"Value {chance.randrange(1, 4)}", "Value 1", "Value 1",
            ]
        )  # fmt: skip
    return rows

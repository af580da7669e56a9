"""What every explanation must hold, whatever it tells: asked through here, it is checked each time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

from ledger.catalogue import Catalogue
from ledger.drawing import draw
from ledger.explaining import digest
from tests.given import Desk

US = timedelta(microseconds=1)
SVG = "{http://www.w3.org/2000/svg}"
Answer = dict[str, Any]


def explain(desk: Desk, ticket: str, **given: Any) -> Answer:
    """Ask for an explanation; hold it against itself, the catalogue, and what `ask ticket` says."""
    told = desk.ask("explain", ticket=ticket, **given)
    hold(told, desk.ledger.policy())
    asked = desk.clock(ticket, **given)
    assert (told["verdict"], told["due_at"], told["final_at"]) == (
        asked["verdict"], asked["due_at"], asked["final_at"],
    )  # fmt: skip
    return told


def when(text: str) -> datetime:
    """Return the datetime of an instant as answers show it."""
    return datetime.fromisoformat(text)


def hold(told: Answer, catalogue: Catalogue) -> None:
    """Assert what is true of every explanation."""
    _tiles(told)
    _follows(told, catalogue)
    assert told["hash"] == digest(told)
    for lang in ("es_GT", "en"):
        assert told["words"][lang]
        assert not any("{" in line or "?" in line for line in told["words"][lang]), told["words"][lang]
        drawn(told, lang)


def _tiles(told: Answer) -> None:
    """Every microsecond of the wall-clock span stands in exactly one segment; those counted sum to the elapsed."""
    segments = told["segments"]
    for before, after in pairwise(segments):
        assert when(before["until"]) == when(after["from"])
    end = {"response": told["responded_at"], "due": told["due_at"], "at": told["at"]}[told["until"]]
    assert told["span_us"] == (when(end) - when(told["opened_at"])) // US
    if segments:
        assert (when(segments[0]["from"]), when(segments[-1]["until"])) == (when(told["opened_at"]), when(end))
    for one in segments:
        assert one["us"] == (when(one["until"]) - when(one["from"])) // US > 0
        assert one["counted"] == (one["why"] == "open")
    assert sum(one["us"] for one in segments) == told["span_us"]
    assert sum(one["us"] for one in segments if one["counted"]) == told["elapsed_us"]


def _follows(told: Answer, catalogue: Catalogue) -> None:
    """The due instant follows from the limit that governs; each limit's segments are its calendar's open time."""
    for number, limit in enumerate(told["limits"]):
        own = [one for one in told["segments"] if one["limit"] == number]
        if limit["calendar"] and own:
            counted = sum(one["us"] for one in own if one["counted"])
            calendar = catalogue.calendar(limit["calendar"])
            assert counted == calendar.elapsed_us(when(own[0]["from"]), when(own[-1]["until"]))
    if not told["due_at"]:
        assert told["raw"] == "none"
        return
    limit = told["limits"][-1]
    calendar = catalogue.calendar(limit["calendar"])
    assert calendar.due(when(limit["from"]), limit["limit_us"]) == when(told["due_at"])
    assert told["reproduced"]
    late = bool(told["responded_at"]) and when(told["responded_at"]) >= when(told["due_at"])
    assert (told["raw"] == "breached") == (late or (not told["responded_at"] and told["until"] == "due"))
    assert not (told["late_by_us"] and told["early_by_us"])


def drawn(told: Answer, lang: str = "es_GT") -> ElementTree.Element:
    """Return the drawing, well-formed: one rect a segment, side by side, in proportion to their time.

    What was late has an edge that begins at the due instant's line; each wait begun before the end has one of its own.
    """
    text = draw(told, lang)
    assert text == draw(told, lang)
    root = ElementTree.fromstring(text)  # noqa: S314 - our own drawing
    every = list(root.iter(f"{SVG}rect"))
    rects = [rect for rect in every if "segment" in rect.attrib["class"].split()]
    late = [rect for rect in every if rect.attrib["class"] == "late"]
    due = next((p for p in root.iter(f"{SVG}path") if p.attrib.get("class") == "due"), None)
    assert len(late) == (told["raw"] == "breached")
    if late:
        assert due is not None
        assert due.attrib["d"].startswith(f"M{late[0].attrib['x']} ")
        assert float(late[0].attrib["x"]) + float(late[0].attrib["width"]) <= 730.001
    end = told["responded_at"] or told["at"]
    waits = [rect for rect in every if rect.attrib["class"] == "wait"]
    assert len(waits) <= sum(when(wait["from"]) < when(end) for wait in told["waits"])
    assert bool(waits) >= any(when(w["from"]) < when(told["segments"][-1]["until"]) for w in told["waits"] if rects)
    assert len(rects) == len(told["segments"])
    for (one, rect), (_next, after) in pairwise(zip(told["segments"], rects, strict=True)):
        assert abs(float(rect.attrib["x"]) + float(rect.attrib["width"]) - float(after.attrib["x"])) < 0.0015
        assert ("c" in rect.attrib["class"].split()) == one["counted"]
    whole = sum(float(rect.attrib["width"]) for rect in rects)
    for one, rect in zip(told["segments"], rects, strict=True):
        assert abs(float(rect.attrib["width"]) - whole * one["us"] / told["span_us"]) < 0.01
    _apart(root)
    assert root.attrib["width"] == "100%"
    assert {child.tag.removeprefix(SVG) for child in root} >= {"title", "desc"}
    assert not any(word in text for word in ("<script", "href", "url(http", "@import"))
    return root


def _apart(root: ElementTree.Element) -> None:
    """No label meets another of its row, none leaves the drawing, no line crosses one."""
    texts = [(int(t.attrib["y"]), int(t.attrib["x"]), 7 * len(t.text or "")) for t in root.iter(f"{SVG}text")]
    rows: dict[int, list[tuple[int, int]]] = {}
    for y, x, width in texts:
        rows.setdefault(y, []).append((x, width))
    for row in rows.values():
        for (x, width), (following, _width) in pairwise(sorted(row)):
            assert x + width <= following
    assert all(x >= 0 and x + width <= 1000 for _y, x, width in texts)
    for path in root.iter(f"{SVG}path"):
        line = re.fullmatch(r"M([0-9.]+) ([0-9]+)V([0-9]+)", path.attrib["d"])
        if line and path.attrib.get("class") == "l":
            at, top, bottom = (float(part) for part in line.groups())
            assert not any(top < y < bottom and x < at < x + width for y, x, width in texts)

"""Replay `api/examples.toml` and show which answers have changed; with --write, put the new ones into the file.

    python -m scripts.examples [--write]

`tests/test_openapi.py` replays the same steps and compares. A step without `status` and `answer` gets them here.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from api.document import steps
from tests.test_api import Office

FILE = Path(__file__).parent.parent / "api" / "examples.toml"


def main(arguments: list[str]) -> int:
    """Return 0 when every answer is as it stands in the file, or was written; 1 when some have changed."""
    head, *blocks = re.split(r"(?m)^(?=\[\[step\]\]\n)", FILE.read_text("utf-8"))
    changed = 0
    with tempfile.TemporaryDirectory() as folder:
        office = Office(f"sqlite:///{folder}/examples.db")
        for number, (block, step) in enumerate(zip(blocks, steps(), strict=True)):
            if "clock" in step:
                office.at(step["clock"])
                continue
            reply = office.call(step["method"], step["path"], step.get("body"), role=step["role"])
            found = {name: value for name, value in reply.json.items() if name != "request_id"}
            kept = step.get("answer", {})
            if "made_with" in kept:  # the versions of another machine
                found["made_with"] = kept["made_with"]
            if (reply.status_code, found) != (step.get("status"), kept):
                changed += 1
                print(f"{step['operation']}: {reply.status_code}")
                asked = block.partition("\nstatus = ")[0].rstrip()
                blocks[number] = f"{asked}\nstatus = {reply.status_code}\nanswer = '''\n{_text(found)}\n'''\n\n"
        office.close()
    if changed and "--write" in arguments:
        FILE.write_text(head + "".join(blocks).rstrip() + "\n", "utf-8")
        return 0
    return 1 if changed else 0


def _text(answer: dict[str, Any]) -> str:
    """Return JSON in lines of up to 118 characters, broken between members only."""
    whole = json.dumps(answer, ensure_ascii=False)
    kept = re.sub(r'"(?:[^"\\]|\\.)*"', lambda match: match[0].replace(" ", "\u00a0"), whole)
    kept = kept.replace('": ', '":\u00a0')
    lines = textwrap.wrap(kept, 118, subsequent_indent=" ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\u00a0", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

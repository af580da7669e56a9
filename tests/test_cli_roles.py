"""What a role may not do is refused at the command line too, to whoever shows a token of that role there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_outer_door import Shell

# As the command line names them; what each would do must not have happened.
REFUSED = {
    "agent": (
        "import rows.csv --mapping mapping.toml",
        "contact set C-1 --email ana@example.com",
        "contact forget C-1",
        "webhook add https://example.com/hook",
        "token create --role operator --name otra",
        "token list",
        "clock advance 1d",
        "export ocel cases.json",
        "export xes cases.xes",
        "sla monthly C-1 2026-01 --out page.html",
        "sla publish 2026-01",
        "books close --month 2025-12",
        "books check",
        "card register C-1 --token tok_ok",
        "payment record C-1 --amount 1.00 --method cash --reference R-1",
    ),
    "auditor": (
        "contact set C-1 --email ana@example.com",
        "webhook add https://example.com/hook",
        "token create --role operator --name otra",
        "clock advance 1d",
        "sla publish 2026-01",
        "books check --repair",
        "account open C-2 --name Dos",
    ),
    "finance": ("token create --role operator --name otra", "webhook add https://example.com/hook", "clock advance 1d"),
}


@pytest.mark.parametrize("role", sorted(REFUSED))
def test_a_role_is_refused_what_it_may_not_do(role: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.play("migrate --test-clock")
    shell.play("clock set 2026-01-15T09:00:00-06:00")
    shell.play("account open C-1 --name Uno")
    (tmp_path / "rows.csv").write_text("case\n", "utf-8")
    (tmp_path / "mapping.toml").write_text('name = "demo"\n', "utf-8")
    before = shell.run("status --json")
    shell.play(f"keep mine token token create --role {role} --name ana")
    shell.play("stdin $mine => login")
    for words in REFUSED[role]:
        said = shell.refused(words)
        assert "Su rol" in said, f"{words}: {said}"
    assert sorted(path.suffix for path in tmp_path.glob("*.*") if path.suffix in (".json", ".xes", ".html")) == []
    shell.play("logout")
    after = shell.run("status --json")
    assert [line for line in (before, after) if '"position": 1' not in line] == []


def test_a_token_is_not_made_for_a_name_that_looks_like_anothers(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.play("migrate")
    shell.play("token create --role agent --name ana")
    for name in ("Ana", "aná", "\u0430na", "ana\u200b"):
        assert shell.refused(f"token create --role manager --name {name}")
    assert shell.run("token list --json").count('"prefix"') == 1

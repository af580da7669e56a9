"""The repository itself: what lies in it, what no file may say, and how long a thing may get."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("ledger", "projections", "api", "scheduler")
TOP_LEVEL = {"pyproject.toml", *PACKAGES, "tests", "scripts", "README.md"}
LOCKS = ("requirements.lock", "requirements-dev.lock")
FILE_LINES_MAX = 350
FUNCTION_LINES_MAX = 55

# Written in parts, so that this file may be searched too.
INDEXES = [
    "".join(parts)
    for parts in (
        ("py", "pi.org"),
        ("python", "hosted.org"),
        ("npm", "js.org"),
        ("yarn", "pkg.com"),
        ("deb", ".debian.org"),
        ("crates", ".io"),
        ("rubygems", ".org"),
        ("proxy.", "golang.org"),
        ("conda.", "anaconda.org"),
        ("jsdelivr", ".net"),
        ("unpkg", ".com"),
    )
]
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:root\b|work/|home/\w|Users/\w|opt/wheels|tmp/v/)")
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{36}|github_pat_\w{40}|[rs]k_live_\w{16}|xox[abprs]-[\w-]{10})"
    r"|(?i:secret|token|passw(?:or)?d|api_?key)\w*[\"']?\s*[:=]\s*[\"'][\w+/-]{24,}={0,2}[\"']"
)
SETTING = re.compile(r"\bLEDGER_[A-Z][A-Z0-9_]*")


@cache
def files() -> tuple[Path, ...]:
    """Return every file that is committed, or would be with the next `git add`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())
    assert found
    return found


def texts() -> Iterator[tuple[str, str]]:
    """Give the name and the text of every file that is text."""
    for path in files():
        content = path.read_bytes()
        if b"\0" not in content:
            yield name_of(path), content.decode("utf-8", "replace")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code(*folders: str) -> list[Path]:
    return [path for path in files() if path.suffix == ".py" and name_of(path).startswith(folders)]


def hits(pattern: re.Pattern[str]) -> list[str]:
    """Return each place where a file other than a vendored one matches, as name:line."""
    return [
        f"{name}:{number}: {match.group()}"
        for name, content in texts()
        if not name.startswith("api/static/")
        for number, line in enumerate(content.splitlines(), 1)
        if (match := pattern.search(line))
    ]


def test_the_top_level_holds_what_was_agreed_and_nothing_else() -> None:
    entries = {path.relative_to(ROOT).parts[0] for path in files()}
    visible = {entry for entry in entries if not entry.startswith(".") and not entry.endswith(".lock")}
    assert visible == TOP_LEVEL


def test_the_only_lock_files_are_the_two_that_pip_reads() -> None:
    locks = {name_of(path) for path in files() if path.name.endswith((".lock", "pylock.toml"))}
    assert locks == set(LOCKS)


def test_no_file_names_a_package_index() -> None:
    assert [f"{name}: {host}" for name, content in texts() for host in INDEXES if host in content] == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert hits(MACHINE_PATH) == []


def test_no_file_holds_what_looks_like_a_secret() -> None:
    assert hits(SECRETS) == []


# --- the locks ----------------------------------------------------------------------------------------


def locked(lock: str) -> dict[str, tuple[Requirement, str]]:
    """Return each requirement of a lock by name, with the lines that belong to it."""
    content = (ROOT / lock).read_text("utf-8")
    entries: dict[str, tuple[Requirement, str]] = {}
    for block in re.split(r"\n(?=\w)", content):
        requirement = Requirement(str(block).split("\\\n", 1)[0].strip())
        entries[canonicalize_name(requirement.name)] = (requirement, block)
    return entries


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_everything_by_hash_and_names_no_address(lock: str) -> None:
    assert "://" not in (ROOT / lock).read_text("utf-8")
    for requirement, block in locked(lock).values():
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), requirement
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block), requirement


def test_the_development_lock_holds_the_runtime_set_at_the_same_versions() -> None:
    runtime, development = (locked(lock) for lock in LOCKS)
    assert {name: str(runtime[name][0]) for name in runtime} == {
        name: str(development[name][0]) for name in runtime if name in development
    }


def test_the_locks_are_no_older_than_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    runtime = [*project["project"]["dependencies"], *project["dependency-groups"]["build"]]
    for lock, wanted in zip(LOCKS, (runtime, [*runtime, *project["dependency-groups"]["dev"]]), strict=True):
        held = locked(lock)
        for requirement in map(Requirement, wanted):
            pinned = held[canonicalize_name(requirement.name)][0]
            version = str(pinned.specifier).removeprefix("==")
            assert requirement.specifier.contains(version), f"{lock} has {pinned}; run scripts/dev.py lock"


# --- words, settings, sizes ---------------------------------------------------------------------------


def test_every_text_says_the_same_facts_in_both_languages() -> None:
    tables = [path for path in files() if path.parent.name == "texts" and path.suffix == ".toml"]
    assert tables
    for path in tables:
        for key, words in tomllib.loads(path.read_text("utf-8")).items():
            place = f"{name_of(path)} [{key}]"
            assert set(words) == {"es", "en"}, place
            assert all(word.strip() for word in words.values()), place
            assert placeholders(words["es"]) == placeholders(words["en"]), place


def placeholders(text: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(text) if field is not None}


def test_every_setting_is_documented() -> None:
    readmes = [path for path in files() if path.name == "README.md"]
    documented = {name for path in readmes for name in SETTING.findall(path.read_text("utf-8"))}
    readers = [*code(*(f"{package}/" for package in PACKAGES), "scripts/"), ROOT / "tests" / "postgres.py"]
    named = {name: name_of(path) for path in readers for name in SETTING.findall(path.read_text("utf-8"))}
    assert {name: place for name, place in named.items() if name not in documented} == {}


def test_files_and_functions_can_be_read_at_a_glance() -> None:
    too_long = []
    for path in code(*(f"{package}/" for package in PACKAGES), "scripts/"):
        content = path.read_text("utf-8")
        if (lines := content.count("\n")) > FILE_LINES_MAX:
            too_long.append(f"{name_of(path)}: {lines} lines")
        for name, lines in functions(content):
            if lines > FUNCTION_LINES_MAX:
                too_long.append(f"{name_of(path)}: {name} has {lines} lines")
    assert too_long == []


def functions(content: str) -> Iterator[tuple[str, int]]:
    """Give each function's name and number of lines."""
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            end: Any = node.end_lineno
            yield node.name, end - node.lineno + 1

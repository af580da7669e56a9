"""Payment card numbers must never enter (DOMAIN.md 7): how one is recognised in text, and how it is masked.

One is 13 to 19 digits of a known brand's range and length whose Luhn sum is right, with at most one blank, dash or
stop between digits. What only looks like one: a UUID, a CUI (Guatemala's 13-digit identity number, which is a
person's NIT too), and digits written in one piece right behind letters, as a bank's reference: BI4…; but not behind
the name of a card. Telling is a guess: one number in ten of such a range and length has a right sum by chance.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_CHARS = 19 + 18
_GAP = r"[ \t\x00-\x09\x0b\x0c\x0e-\x1f\x7f\xa0\xad\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff.\-\u2010-\u2015\u2212]?"
_RUN = re.compile(rf"\d(?:{_GAP}\d){{12,}}")
_DIGITS = re.compile(r"\d+")
_WORD_BEFORE = re.compile(r"[^\W\d_]+$")
_UUID = re.compile(r"(?<![0-9A-Fa-f-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f-])")
_CARD_WORDS: tuple[str, ...] = ("visa", "master", "mastercard", "amex", "diners", "discover", "jcb", "card")
_CARD_WORDS += ("tarjeta", "credito", "crédito", "debito", "débito", "numero", "número")
_CARD_LETTERS = frozenset(("cc", "tc", "td", "mc", "pan", "no", "num", "nro"))
# First six digits from, to; lengths. ISO/IEC 7812 as the brands publish it.
_RANGES = (
    (400000, 499999, frozenset((13, 16, 19))),  # Visa
    (510000, 559999, frozenset((16,))),  # Mastercard
    (222100, 272099, frozenset((16,))),
    (340000, 349999, frozenset((15,))),  # American Express
    (370000, 379999, frozenset((15,))),
    (300000, 305999, frozenset(range(14, 20))),  # Diners Club
    (309500, 309599, frozenset(range(14, 20))),
    (360000, 369999, frozenset(range(14, 20))),
    (380000, 399999, frozenset(range(14, 20))),
    (601100, 601199, frozenset(range(16, 20))),  # Discover
    (644000, 659999, frozenset(range(16, 20))),
    (620000, 629999, frozenset(range(16, 20))),  # UnionPay
    (352800, 358999, frozenset(range(16, 20))),  # JCB
    (501800, 501899, frozenset(range(13, 20))),  # Maestro
    (502000, 502099, frozenset(range(13, 20))),
    (503800, 503899, frozenset(range(13, 20))),
    (589300, 589399, frozenset(range(13, 20))),
    (630400, 630499, frozenset(range(13, 20))),
    (675900, 676399, frozenset(range(13, 20))),
)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def card_number(text: str) -> str:
    """Return the first card number in `text`, masked, "" when it holds none."""
    if len(text) < 13 or _RUN.search(text) is None:
        return ""
    return next((_masked(text[start:end]) for start, end in _spans(text)), "")


def masked(text: str) -> str:
    """Return `text`, as long as it was, with a star for each digit of a card number but its last two."""
    if len(text) < 13 or _RUN.search(text) is None:
        return text
    for start, end in _spans(text):
        text = text[:start] + _masked(text[start:end]) + text[end:]
    return text


def masked_start(text: str, most: int) -> str:
    """Return the first `most` characters of `masked(text)`, whatever its length costs nothing."""
    # A number that begins before the cut may end behind it: what cannot be seen whole must not be seen in part.
    return masked(text[: most + MOST_CHARS])[:most]


def _masked(number: str) -> str:
    last = [found.start() for found in re.finditer(r"\d", number)][-2]
    return re.sub(r"\d", "*", number[:last]) + number[last:]


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield from where to where each card number stands, from left to right, none in another."""
    uuids = [found.span() for found in _UUID.finditer(text)]
    for run in _RUN.finditer(text):
        if any(start <= run.start() and run.end() <= end for start, end in uuids):
            continue
        parts = [found.span() for found in _DIGITS.finditer(text, *run.span())]
        first = 0
        while first < len(parts):
            last = _last_part(text, parts, first)
            if last is not None:
                yield parts[first][0], parts[last][1]
                first = last
            first += 1


def _last_part(text: str, parts: list[tuple[int, int]], first: int) -> int | None:
    """Return the part with which a card number ends that begins with part `first`, the longest there is."""
    found, digits = None, ""
    for last in range(first, len(parts)):
        start, end = parts[last]
        digits += text[start:end]
        if len(digits) > 19:
            break
        if len(digits) >= 13 and _is_card(digits) and not (last == first and _behind_letters(text, start)):
            found = last
    return found


def _is_card(digits: str) -> bool:
    number = str(int(digits))  # other scripts' digits too
    if len(number) != len(digits):
        return False
    six = int(number[:6])
    if not any(low <= six <= high and len(number) in lengths for low, high, lengths in _RANGES):
        return False
    return _luhn(number) and not _is_cui(number)


def _luhn(number: str) -> bool:
    values = [int(digit) for digit in reversed(number)]
    return (sum(values[::2]) + sum(_DOUBLED[value] for value in values[1::2])) % 10 == 0


def _is_cui(number: str) -> bool:
    """Whether it is a CUI: eight digits, their check digit, a department (1-22) and a municipality of it."""
    if len(number) != 13 or not 1 <= int(number[9:11]) <= 22 or number[11:] == "00":
        return False
    return sum(int(digit) * weight for weight, digit in enumerate(number[:8], 2)) % 11 == int(number[8])


def _behind_letters(text: str, start: int) -> bool:
    before = _WORD_BEFORE.search(text, max(0, start - 20), start)
    if before is None:
        return False
    word = before.group().casefold()
    return not (word.endswith(_CARD_WORDS) or word in _CARD_LETTERS)

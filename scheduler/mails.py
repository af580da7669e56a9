"""A notice in words: subject, text and HTML from `ledger/texts/notices.toml`, and the e-mail that carries them.

HTML is made from the finished text, escaped as a whole: whatever a name holds, it stays text. A subject is one line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import Any

from babel.dates import format_date

from ledger.rules.instants import from_iso
from ledger.rules.money import pretty
from ledger.texts import text

_MONEY = ("price", "credit", "to_pay", "amount", "net", "tax", "discount")
_DAYS = ("renews_on", "cancel_by", "last_day", "ended_on", "retry_on", "paid_on")
_WORDS = ("level", "term")
_DAY = {"es_GT": "EEEE d 'de' MMMM 'de' y", "en": "EEEE, MMMM d, y"}
_LOCALE = {"es_GT": "es_GT", "en": "en_US"}
_BLANK = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
_PAGE = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><title>{title}</title></head>
<body style="font-family: sans-serif; line-height: 1.5; max-width: 40em; margin: 1em auto; padding: 0 1em">
{body}
</body></html>
"""


@dataclass(frozen=True)
class Mail:
    """A rendered notice."""

    subject: str
    text: str
    html: str


def render(kind: str, data: Mapping[str, Any], lang: str, *, who: str = "", company: str) -> Mail:
    """Return a notice's words in `lang` (es_GT or en); `who` is greeted (the customer's name by default)."""
    shown = _shown(data, lang)
    shown |= _sentences(kind, data, shown, lang)
    shown |= {"who": one_line(who) or shown["name"], "company": one_line(company)}
    keys = ("notice_greeting", f"notice_{kind}_body", "notice_signature", "notice_footer")
    paragraphs = [part.strip() for key in keys for part in text(key, lang, **shown).split("\n\n") if part.strip()]
    return made_of(text(f"notice_{kind}_subject", lang, **shown), paragraphs, lang)


def made_of(subject: str, paragraphs: Sequence[str], lang: str) -> Mail:
    """Return the mail of finished paragraphs: a subject of one line, and the same words as text and as HTML."""
    title = one_line(subject)
    body = "\n".join(_paragraph(part) for part in paragraphs)
    html = _PAGE.format(lang=lang.replace("_", "-"), title=escape(title), body=body)
    return Mail(title, "\n\n".join(paragraphs) + "\n", html)


def _shown(data: Mapping[str, Any], lang: str) -> dict[str, str]:
    """Return the values in words: money and days as people write them, everything else on one line."""
    shown = {name: one_line(str(value)) for name, value in data.items()}
    for name, value in data.items():
        if not value:
            continue
        if name in _MONEY:
            shown[name] = pretty(int(value.replace(".", "")), data["currency"], lang)
        elif name in _DAYS:
            shown[name] = format_date(date.fromisoformat(value), _DAY[lang], locale=_LOCALE[lang])
        elif name in _WORDS:
            shown[name] = text(f"value_{value}", lang)
    return shown


def _sentences(kind: str, data: Mapping[str, Any], shown: Mapping[str, str], lang: str) -> dict[str, str]:
    """Return the sentences that depend on how things stand; "" where there is nothing to say."""

    def say(key: str, when: bool = True) -> str:
        return text(f"notice_{key}", lang, **shown) if when else ""

    found = {}
    if kind == "renewal_upcoming":
        some = data["credit"] != "0.00" and data["paid_by"] != "credit"
        found = {"how": say(f"how_{data['paid_by']}"), "credit_used": say("credit_used", some)}
    if kind == "payment_failed":
        found["next"] = say("next_final" if data["final"] else "next_retry" if data["retry_on"] else "next_none")
    if "what_for" in data:
        found["what"] = say(f"for_{data['what_for']}")
    return {
        **found,
        "elsewhere_line": say("elsewhere", bool(data.get("elsewhere"))),
        "discount_line": say("discount", data.get("discount", "0.00") != "0.00"),
    }


def _paragraph(part: str) -> str:
    lines = [escape(line) for line in part.split("\n")]
    if all(line.startswith("- ") for line in lines):
        return "<ul>" + "".join(f"<li>{line[2:]}</li>" for line in lines) + "</ul>"
    return f"<p>{'<br>'.join(lines)}</p>"


def one_line(words: str) -> str:
    """Return words on one line: nothing in them may begin a header, a paragraph or a list."""
    return " ".join(_BLANK.sub(" ", words).split())


# --- the e-mail ------------------------------------------------------------------------------------------------------


def message(mail: Mail, *, key: str, sender: Address, to: Address, lang: str, now: str) -> EmailMessage:
    """Return the e-mail of a rendered notice; the same `key` always gives the same Message-ID."""
    made = EmailMessage(policy=SMTP)
    made["Subject"] = mail.subject
    made["From"] = sender
    made["To"] = to
    made["Date"] = format_datetime(from_iso(now))
    made["Message-ID"] = f"<{message_name(key)}@{sender.domain}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(mail.text, charset="utf-8", cte="quoted-printable")
    made.add_alternative(mail.html, subtype="html", charset="utf-8", cte="quoted-printable")
    made["Content-Language"] = lang.replace("_", "-")  # last: setting the content takes such headers away
    return made


def message_name(key: str) -> str:
    """Return what stands before the @ of a Message-ID: a hash, for a key may hold what a header may not."""
    return f"notice.{hashlib.sha256(key.encode()).hexdigest()[:40]}"

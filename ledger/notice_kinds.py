"""The kinds of notices: what `projections/notices.py` derives, webhooks may choose from, and `texts/` has words for."""

KINDS = (
    "renewal_upcoming", "payment_failed", "grace_ends", "lapsed", "tickets_low", "tickets_used_up", "addon_expiring",
    "receipt",
)  # fmt: skip

"""The kinds of notices: what `projections/` derives, webhooks may choose from, and `texts/` has words for."""

# What a customer is told (`projections/notices.py`).
KINDS = (
    "renewal_upcoming", "payment_failed", "grace_ends", "lapsed", "tickets_low", "tickets_used_up", "addon_expiring",
    "receipt",
)  # fmt: skip

# What our own people are told, by webhook and by mail to the desk (`scheduler/desk.py`): no customer gets these.
STAFF_KINDS = ("sla_warning", "sla_breached")

"""Answers over the whole ledger: read models, all rebuildable from the log."""

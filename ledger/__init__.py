"""What is true of every account and ticket, and the only door through which it may change."""

"""The business rules of DOMAIN.md: pure functions and values, no clock, no file, no database."""

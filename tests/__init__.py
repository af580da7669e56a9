"""The tests, flat: one file a module, then the laws; helpers are imported as `tests.name`."""

"""Bugs planted in critical places, to see whether the tests are worth their time."""

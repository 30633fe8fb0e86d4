"""Molecules with a given number of heavy atoms."""

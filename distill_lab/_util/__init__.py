"""Helpers that several rooms need: files written whole, what surrounds a run, randomness."""

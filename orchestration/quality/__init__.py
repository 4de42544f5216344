"""Judges what came in before it is built, and what was built before it is published."""

"""A seeded world with known truth: writes feed files, knows nothing of the engine (docs/simulation.md)."""

from orchestration.simulate.simulation import DEFAULT_DAYS, DEFAULT_PEOPLE, DEFAULT_SEED, Summary, simulate
from orchestration.simulate.world import World

__all__ = ["DEFAULT_DAYS", "DEFAULT_PEOPLE", "DEFAULT_SEED", "Summary", "World", "simulate"]

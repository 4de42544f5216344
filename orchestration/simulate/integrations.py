"""Heartbeats and work of the four integrations: dashboard, viral, success, offline."""

from dataclasses import dataclass

import numpy as np

from orchestration.simulate.calendar import Span
from orchestration.simulate.rows import Rows
from orchestration.simulate.streams import Streams
from orchestration.simulate.world import World

INTEGRATIONS = ("dashboard", "viral", "success", "offline")
EVENT_TYPES = ("heartbeat", "sync", "trigger", "queue")
HEARTBEAT, SYNC, TRIGGER, QUEUE = range(4)
STATUSES = ("ok", "failed")
HOUR = 3_600_000


@dataclass(frozen=True)
class IntegrationEvents(Rows):
    """expected, actual and depth are -1 where the event has none; failed: its status."""

    integration: np.ndarray
    kind: np.ndarray
    failed: np.ndarray
    expected: np.ndarray
    actual: np.ndarray
    depth: np.ndarray
    time: np.ndarray


def draw_integration_events(
    world: World, streams: Streams, span: Span, viral_times: np.ndarray, trial_times: np.ndarray
) -> IntegrationEvents:
    """Heartbeats of all; hourly viral syncs (actions expected and arrived), daily success triggers (trials), and
    the offline queue's depth every 6 hours."""
    parts = [_heartbeats(world, streams, span, name) for name in INTEGRATIONS]
    parts.append(_deliveries(world, streams, span, "viral", SYNC, HOUR, viral_times))
    parts.append(_deliveries(world, streams, span, "success", TRIGGER, 24 * HOUR, trial_times))
    rng = streams("integrations/queue")
    time = np.arange(span.start, span.until, 6 * HOUR)
    failed = rng.random(len(time)) < world.integration_failures
    parts.append(_events("offline", QUEUE, failed, time, depth=rng.poisson(np.where(failed, 400, 12))))
    return IntegrationEvents.join(parts)


def _heartbeats(world: World, streams: Streams, span: Span, name: str) -> IntegrationEvents:
    rng = streams(f"integrations/{name}")
    beats = np.arange(span.start, span.until, world.heartbeat_minutes * 60_000)
    failed = rng.random(len(beats)) < world.integration_failures
    time = np.minimum(beats + (rng.random(len(beats)) * 5_000).astype(np.int64), span.until)
    return _events(name, HEARTBEAT, failed, time)


def _deliveries(
    world: World, streams: Streams, span: Span, name: str, kind: int, step: int, times: np.ndarray
) -> IntegrationEvents:
    """One event per step: how many things happened in it, and how many of them arrived."""
    rng = streams(f"integrations/{EVENT_TYPES[kind]}")
    edges = np.arange(span.start, span.until, step)
    expected = np.bincount(np.clip((times - span.start) // step, 0, len(edges) - 1), minlength=len(edges))
    failed = rng.random(len(edges)) < world.integration_failures
    missed = rng.binomial(expected, np.where(failed, 0.3, 0.0005))
    time = np.minimum(edges + step, span.until)
    return _events(name, kind, failed, time, expected=expected, actual=expected - missed)


def _events(name: str, kind: int, failed: np.ndarray, time: np.ndarray, **figures: np.ndarray) -> IntegrationEvents:
    absent = np.full(len(time), -1)
    return IntegrationEvents(
        integration=np.full(len(time), INTEGRATIONS.index(name)),
        kind=np.full(len(time), kind),
        failed=failed,
        expected=figures.get("expected", absent),
        actual=figures.get("actual", absent),
        depth=figures.get("depth", absent),
        time=time,
    )

"""[pure] How far sums and shares have moved. None where there is too little to compare."""


def relative_change(published: float | None, candidate: float | None) -> float | None:
    """The difference as a share of what was published; a missing candidate counts as nothing, so 1."""
    if not published:
        return None
    return abs((candidate or 0.0) - published) / abs(published)


def fall(published: float | None, candidate: float | None) -> float | None:
    """By what share of the published the candidate is less; 0 when it is not."""
    if not published:
        return None
    return max(0.0, published - (candidate or 0.0)) / published


def rise(earlier: tuple[float, float], recent: tuple[float, float], *, least: float) -> float | None:
    """By how much a share grew; each period: (part, whole). None when the earlier whole is below `least`, or the
    recent one is nothing."""
    (earlier_part, earlier_whole), (recent_part, recent_whole) = earlier, recent
    if earlier_whole < least or not recent_whole:
        return None
    return recent_part / recent_whole - earlier_part / earlier_whole

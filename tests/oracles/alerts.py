"""When a rule fires and when it is over, by runs of like samples."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise


def changes(
    said: Sequence[tuple[datetime, str]], *, wait: timedelta, keep: timedelta, fires: bool = False
) -> list[tuple[str, datetime]]:
    """(fired or resolved, when). said: what each sample says, in order of time: breach, clear, between, or that it says
    too little, as which it is left out.

    Looks for the first sample that ends an unbroken run of breaches as long as `wait`, none of whose gaps is longer,
    then from there for the first that ends such a run of clear ones as long as `keep`, and so on.
    """
    said = [(at, what) for at, what in said if what in ("breach", "clear", "between")]
    word, longest, name = ("clear", keep, "resolved") if fires else ("breach", wait, "fired")
    for end in range(len(said)):
        for start in range(end + 1):
            run = said[start : end + 1]
            gaps = [later - earlier for (earlier, _what), (later, _other) in pairwise(run)]
            is_unbroken = all(what == word for _at, what in run) and max(gaps, default=longest) <= longest
            if is_unbroken and sum(gaps, timedelta()) >= longest:
                rest = changes(said[end + 1 :], wait=wait, keep=keep, fires=not fires)
                return [(name, said[end][0]), *rest]
    return []

"""Texts that a new one may not be a near copy of: the latest drafts, and what is being judged beside it."""

from collections import deque
from collections.abc import Iterable

from orchestration.warehouse import Connection, content_drafts
from orchestration.warehouse.content import ClaimedJob


class EarlierTexts:
    """Those of one process at work. most: of the latest drafts about one kind of thing, rejected ones too."""

    def __init__(self, connection: Connection, most: int) -> None:
        self._connection = connection
        self._most = most
        self._stored: dict[str, deque[tuple[int, int, str]]] = {}
        self._under_way: dict[int, tuple[str, ...]] = {}

    def beside(self, job: ClaimedJob) -> list[str]:
        """All that is read of each but those of the same brief. Only what was stored since the last time is fetched."""
        held = self._stored.setdefault(job.kind, deque(maxlen=self._most))
        newest = held[-1][0] if held else 0
        held.extend(content_drafts.texts_since(self._connection, job.kind, newest, self._most))
        own = self._under_way.get(job.job_id)
        others = (texts for texts in self._under_way.values() if texts is not own)
        return [text for _draft_id, brief_id, text in held if brief_id != job.brief_id] + [
            text for texts in others for text in texts
        ]

    def begin(self, job: ClaimedJob, texts: Iterable[str]) -> None:
        """What is judged, and not stored yet, is a text that others may not repeat, too."""
        self._under_way[job.job_id] = tuple(texts)

    def end(self, job: ClaimedJob) -> None:
        """It is stored, or will be judged again."""
        self._under_way.pop(job.job_id, None)

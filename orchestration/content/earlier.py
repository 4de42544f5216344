"""Texts that a new one may not be a near copy of: the latest drafts, and what is being judged beside it."""

from collections.abc import Iterable

from orchestration.warehouse import Connection, content_drafts
from orchestration.warehouse.content import ClaimedJob

# Numbers are given before drafts are stored: of two processes the lesser number may come second.
OVERLAP = 100


class EarlierTexts:
    """Those of one process at work. most: of the latest drafts about one kind of thing, rejected ones too."""

    def __init__(self, connection: Connection, most: int) -> None:
        self._connection = connection
        self._most = most
        self._stored: dict[str, dict[int, tuple[int, str]]] = {}
        self._under_way: dict[int, tuple[str, ...]] = {}

    def beside(self, job: ClaimedJob) -> list[str]:
        """All that is read of each but those of the job itself. Only what is new since the last time is fetched."""
        held = self._stored.setdefault(job.kind, {})
        since = max(held, default=0) - OVERLAP
        for draft_id, job_id, text in content_drafts.texts_since(self._connection, job.kind, since, self._most):
            held[draft_id] = job_id, text
        for draft_id in sorted(held)[: -self._most]:
            del held[draft_id]
        others = [texts for job_id, texts in self._under_way.items() if job_id != job.job_id]
        return [text for job_id, text in held.values() if job_id != job.job_id] + [
            text for texts in others for text in texts
        ]

    def begin(self, job: ClaimedJob, texts: Iterable[str]) -> None:
        """What is judged, and not stored yet, is a text that others may not repeat, too."""
        self._under_way[job.job_id] = tuple(texts)

    def end(self, job: ClaimedJob) -> None:
        """It is stored, or will be judged again."""
        self._under_way.pop(job.job_id, None)

"""[pure] Conversions whose true channel is known, with their journeys, as arrays: what accuracy is measured on."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import numpy as np

from orchestration.attribution.credit import Journeys

SURVEY = "survey"
"""The method of truth that decides; experiments stand beside it."""
NO_CHANNEL = "none"
"""The truth of a conversion that no channel brought."""

Row = Mapping[str, Any]


class Truth:
    """Conversions of one method of truth, in order of time, as arrays; those without a touch or a channel counted.

    journeys: of the conversions to judge; channel, person: codes of their true channel (one of journeys.channels) and
    of their person, shape (conversions,). Made by `of`.
    """

    def __init__(
        self,
        conversions: Sequence[Sequence[Row]],
        left_out: Sequence[Row],
        channels: Sequence[str],
    ) -> None:
        self._conversions, self._left_out, self._channels = conversions, left_out, channels
        code = {channel: place for place, channel in enumerate(channels)}
        people: dict[str, int] = {}
        touches = [row for rows in conversions for row in rows]
        lengths = [len(rows) for rows in conversions]
        last_at = [rows[-1]["touched_at"] for rows in conversions for _ in rows]
        self.journeys = Journeys(
            channels=tuple(channels),
            starts=np.cumsum([0, *lengths])[:-1],
            channel=np.array([code[row["channel"]] for row in touches], dtype=np.int64),
            days_before=np.array(
                [(at - row["touched_at"]) / timedelta(days=1) for at, row in zip(last_at, touches, strict=True)],
                dtype=float,
            ),
        )
        self.channel = np.array([code[rows[0]["true_channel"]] for rows in conversions], dtype=np.int64)
        self.person = np.array(
            [people.setdefault(rows[0]["person_id"], len(people)) for rows in conversions], dtype=np.int64
        )
        self.of_none = sum(row["true_channel"] == NO_CHANNEL for row in left_out)
        self.without_touch = len(left_out) - self.of_none

    @classmethod
    def of(cls, touches: Sequence[Row]) -> "Truth":
        """From rows of int_truth_journeys of one method, those of a conversion together, in order of touch."""
        conversions, left_out = [], []
        for _conversion, found in groupby(touches, key=lambda row: row["conversion_id"]):
            rows = list(found)
            if rows[0]["true_channel"] == NO_CHANNEL or rows[0]["touch_position"] is None:
                left_out.append(rows[0])
            else:
                conversions.append(rows)
        names = {row["channel"] for rows in conversions for row in rows}
        return cls(conversions, left_out, sorted(names | {rows[0]["true_channel"] for rows in conversions}))

    def __len__(self) -> int:
        return len(self._conversions)

    def between(self, start_on: date, end_on: date) -> "Truth":
        """Those of conversions of these days, both ends in."""
        return Truth(
            [rows for rows in self._conversions if start_on <= rows[0]["converted_on"] <= end_on],
            [row for row in self._left_out if start_on <= row["converted_on"] <= end_on],
            self._channels,
        )

    def given(self, model: str) -> np.ndarray:
        """What the model gave each channel of each conversion, shape (conversions, channels)."""
        shares = np.zeros((len(self), len(self._channels)))
        given = np.array([float(row[f"{model}_credit"]) for rows in self._conversions for row in rows])
        if len(given):
            np.add.at(shares, (self.journeys.conversion, self.journeys.channel), given)
        return shares

"""[pure, but for Prices.load's one read] What a call costs, and whether it may. Amounts are millionths of a US dollar.

Prices are data with a day from which they hold (prices.yml, or the operator's own file); one that is unknown is no
price, never 0.
"""

import math
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..documents import DocumentError, fault_lines, parsed_yaml

PRICES = Path(__file__).with_name("prices.yml")

Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Model = Annotated[str, Field(pattern=r"^\S+$", max_length=200)]


class PricesError(Exception):
    """One line for each fault of a file of prices. None of it is in force."""


class Price(BaseModel):
    """US dollars per million tokens of input and output, which are millionths of a dollar per token, from a day on.

    answers, limit, temperature: how the model is asked: whether it knows a JSON schema, what it calls the longest
    answer, and whether it takes a temperature.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Model
    aliases: tuple[Model, ...] = ()
    from_: date = Field(alias="from")
    input: Dollars
    output: Dollars
    source: Annotated[str, Field(min_length=1, max_length=500)]
    answers: Literal["json_schema", "json_object"] = "json_schema"
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: bool = True

    @property
    def version(self) -> str:
        """What is stored beside a cost, to tell later how it came about."""
        return f"{self.model} from {self.from_.isoformat()}: {self.input.normalize():f} / {self.output.normalize():f}"

    def cost_usd_micros(self, input_tokens: int, output_tokens: int) -> int:
        """Of so many tokens, rounded up. Raises ValueError for fewer than none."""
        if input_tokens < 0 or output_tokens < 0:
            raise ValueError(f"found {input_tokens} and {output_tokens} tokens, expected none or more")
        return math.ceil(input_tokens * self.input + output_tokens * self.output)

    def most(self, input_tokens: int, max_tokens: int) -> int:
        """What a call can cost at most that may answer with max_tokens."""
        return self.cost_usd_micros(input_tokens, max_tokens)


class Prices:
    """All that is known of prices."""

    def __init__(self, entries: tuple[Price, ...]) -> None:
        self._entries = entries

    @classmethod
    def load(cls, path: Path = PRICES) -> Self:
        """Read a file of the form of prices.yml. Raises PricesError with a line for every fault."""
        try:
            document = parsed_yaml(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, DocumentError) as error:
            raise PricesError(f"{path}: {error}") from None
        if not isinstance(document, dict) or set(document) != {"prices"} or not isinstance(document["prices"], list):
            raise PricesError(f"{path}: expected a mapping with the one key `prices`, a list")
        entries, faults = [], []
        for number, entry in enumerate(document["prices"], start=1):
            try:
                entries.append(Price.model_validate(entry))
            except ValidationError as error:
                faults += fault_lines(f"{path}: price {number}", error, whole="the price")
        faults += [f"{path}: {name} has two prices from {on}, expected one" for name, on in _told_twice(entries)]
        if faults:
            raise PricesError("\n".join(faults))
        return cls(tuple(entries))

    def of(self, model: str, on: date) -> Price | None:
        """The price in force on a day of the model of exactly this name, or of one that lists it as an alias."""
        return max((one for one in self._named(model) if one.from_ <= on), key=lambda one: one.from_, default=None)

    def parameters(self, model: str, max_tokens: int, temperature: float) -> dict[str, Any]:
        """What a call of a model is given beside its messages, by the latest that is known of it."""
        known = max(self._named(model), key=lambda one: one.from_, default=None)
        if known is None:
            return {"max_tokens": max_tokens, "temperature": temperature, "structured_output": "json_schema"}
        own = {"temperature": temperature} if known.temperature else {}
        return {known.limit: max_tokens, **own, "structured_output": known.answers}

    def _named(self, model: str) -> list[Price]:
        return [one for one in self._entries if model in (one.model, *one.aliases)]


def _told_twice(entries: list[Price]) -> list[tuple[str, date]]:
    told = [(name, one.from_) for one in entries for name in (one.model, *one.aliases)]
    return sorted({each for each in told if told.count(each) > 1})


class Budget:
    """What may be spent in a day, and for a campaign."""

    @staticmethod
    def refusal(*, spent_today: int, spent_campaign: int, most: int, daily: int, campaign: int) -> str | None:
        """Why a call that may cost `most` is refused, or None. daily, campaign: the budgets; all in micros."""
        for spent, budget, whose in ((spent_today, daily, "the day"), (spent_campaign, campaign, "the campaign")):
            if spent + most > budget:
                return (
                    f"budget of {whose}: {dollars(spent)} spent, and up to {dollars(most)} more, "
                    f"of {dollars(budget)} US dollars"
                )
        return None


def dollars(micros: int) -> str:
    """`1.250000`: all that is known, as a call costs a fraction of a cent."""
    return f"{micros // 10**6}.{micros % 10**6:06d}"

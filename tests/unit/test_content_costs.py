"""What calls cost is known to the millionth of a dollar, or they are not made."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.content.costs import PRICES, Budget, Price, Prices, PricesError

TODAY = date(2026, 4, 1)
OURS = Prices.load(PRICES)
ENTRY = {"model": "m", "from": "2026-01-01", "input": "2.50", "output": "10", "source": "a list"}


def written(tmp_path, text: str):
    path = tmp_path / "prices.yml"
    path.write_text(text)
    return path


def faults(tmp_path, text: str) -> list[str]:
    with pytest.raises(PricesError) as caught:
        Prices.load(written(tmp_path, text))
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("model", "of_input", "of_output"),
    [
        ("gpt-4-turbo", 10_000_000, 30_000_000),
        ("gpt-4o", 2_500_000, 10_000_000),
        ("gpt-4o-2024-08-06", 2_500_000, 10_000_000),
        ("gpt-4o-mini", 150_000, 600_000),
    ],
)
def test_a_million_tokens_cost_what_the_vendor_says(model, of_input, of_output):
    price = OURS.of(model, TODAY)
    assert price.cost_usd_micros(10**6, 0) == of_input
    assert price.cost_usd_micros(0, 10**6) == of_output


@pytest.mark.parametrize("model", ["gpt-4o-2024-05-13", "gpt-4", "GPT-4o", "gpt-4o-min", "local", "llama3.1", ""])
def test_what_is_not_listed_has_no_price(model):
    """Prevents a guess: the snapshot of May 2024 costs twice as much as its name's later ones."""
    assert OURS.of(model, TODAY) is None


def test_a_price_holds_from_its_day_on(tmp_path):
    prices = Prices.load(written(tmp_path, """
prices:
  - {model: m, from: 2026-03-01, input: 1, output: 2, source: s}
  - {model: m, from: 2026-01-01, input: 3, output: 4, source: s}
"""))  # fmt: skip
    assert prices.of("m", date(2025, 12, 31)) is None
    assert prices.of("m", date(2026, 1, 1)).input == 3
    assert prices.of("m", date(2026, 2, 28)).input == 3
    assert prices.of("m", date(2026, 3, 1)).input == 1
    assert prices.of("m", date(2026, 3, 1)).version == "m from 2026-03-01: 1 / 2"


def test_an_operator_may_list_a_machine_of_their_own_at_nothing(tmp_path):
    """As the head of prices.yml says."""
    head = PRICES.read_text().split("\nprices:")[0]
    example = "\n".join(line.removeprefix("#").removeprefix("   ") for line in head.splitlines() if "   " in line)
    own = Prices.load(written(tmp_path, example))
    assert own.of("llama3.1", TODAY).cost_usd_micros(10**6, 10**6) == 0
    assert own.of("gpt-4o", TODAY) is None
    assert own.parameters("llama3.1", 500, 0.7) == {"max_completion_tokens": 500, "structured_output": "json_object"}


@pytest.mark.parametrize(
    ("model", "form"), [("gpt-4-turbo", "json_object"), ("gpt-4o", "json_schema"), ("unheard-of", "json_schema")]
)
def test_a_model_is_asked_as_is_known_of_it(model, form):
    expected = {"max_tokens": 500, "temperature": 0.7, "structured_output": form}
    assert OURS.parameters(model, 500, 0.7) == expected


def test_every_fault_is_told_and_nothing_is_in_force(tmp_path):
    found = faults(tmp_path, """
prices:
  - {model: a b, from: 2026-01-01, input: 1, output: 2, source: s}
  - {model: m, from: someday, input: -1, output: .nan, source: s}
  - {model: n, from: 2026-01-01, input: 1, output: 2, source: s, currency: EUR}
  - {model: o, from: 2026-01-01, input: true, source: s}
  - {model: p, aliases: [q], from: 2026-01-01, input: 1, output: 1, source: s}
  - {model: q, from: 2026-01-01, input: 1, output: 1, source: s}
""")  # fmt: skip
    wanted = [
        "price 1: model", "price 2: from", "price 2: input", "price 2: output", "price 3: currency: no such field",
        "price 4: input", "price 4: output: missing", "q has two prices from 2026-01-01",
    ]  # fmt: skip
    assert len(found) == len(wanted)
    for line, part in zip(found, wanted, strict=True):
        assert part in line


@pytest.mark.parametrize("text", ["", "[]", "prices: 3", "prices: []\nmore: 1", "prices: [", "prices: []\nprices: []"])
def test_what_is_no_list_of_prices_is_refused(tmp_path, text):
    assert len(faults(tmp_path, text)) == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PricesError, match=r"none\.yml"):
        Prices.load(tmp_path / "none.yml")


tokens = st.integers(0, 10**7)
dollars = st.decimals(min_value=0, max_value=1000, places=4)


@given(tokens, tokens, dollars, dollars)
def test_a_cost_is_rounded_up_to_a_millionth(of_input, of_output, input_price, output_price):
    """Never less than is billed, and less than a millionth more."""
    price = Price.model_validate({**ENTRY, "input": input_price, "output": output_price})
    exact = of_input * Fraction(input_price) + of_output * Fraction(output_price)
    assert 0 <= price.cost_usd_micros(of_input, of_output) - exact < 1


@given(tokens, tokens, tokens)
def test_no_answer_within_its_limit_costs_more_than_the_most(of_input, of_output, more):
    price = Price.model_validate(ENTRY)
    assert price.cost_usd_micros(of_input, of_output) <= price.most(of_input, of_output + more)


def test_fewer_than_no_tokens_are_a_mistake():
    with pytest.raises(ValueError, match="expected none or more"):
        Price.model_validate(ENTRY).cost_usd_micros(-1, 5)


def test_prices_are_read_exactly(tmp_path):
    """0.15 of YAML is no binary fraction here: a million calls would not add up."""
    assert OURS.of("gpt-4o-mini", TODAY).input == Decimal("0.15")


@pytest.mark.parametrize(
    ("spent_today", "spent_campaign", "most", "whose"),
    [
        (0, 0, 100, None),
        (900, 400, 100, None),
        (901, 0, 100, "budget of the day: 0.000901 spent, and up to 0.000100 more, of 0.001000 US dollars"),
        (0, 401, 100, "budget of the campaign"),
        (0, 0, 501, "budget of the campaign"),
        (1000, 500, 0, None),
    ],
)
def test_a_call_that_may_cost_more_than_is_left_is_refused(spent_today, spent_campaign, most, whose):
    told = Budget.refusal(spent_today=spent_today, spent_campaign=spent_campaign, most=most, daily=1000, campaign=500)
    assert told is None if whose is None else whose in told

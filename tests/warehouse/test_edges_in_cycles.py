"""Edges on a cycle, found in the warehouse: against a search by definition, and on graphs that are hard on it."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.warehouse import Warehouse

Edges = list[tuple[int, int]]
GRAPHS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=25)


def in_cycles(warehouse: Warehouse, edges: Edges) -> list[int]:
    """Places of the edges that the warehouse finds, from 1 up."""
    tails, heads = ([edge[end] for edge in edges] for end in (0, 1))
    with warehouse.connect() as connection:
        query = "select edge from ops.edges_in_cycles(%s::integer[], %s::integer[])"
        return sorted(edge for (edge,) in connection.execute(query, [tails, heads]))


def reached(edges: Edges, start: int) -> set[int]:
    seen, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for tail, head in edges:
            if tail == here and head not in seen:
                seen.add(head)
                waiting.append(head)
    return seen


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(GRAPHS)
def test_an_edge_lies_on_a_cycle_when_its_end_leads_back(warehouse: Warehouse, edges: Edges) -> None:
    """Prevents rings that are missed where several cross, and people taken for a ring who only hang below one."""
    expected = [place for place, (tail, head) in enumerate(edges, start=1) if tail in reached(edges, head)]
    assert in_cycles(warehouse, edges) == expected


def test_a_ring_of_many_thousands_is_no_harder_than_a_chain(warehouse: Warehouse) -> None:
    """Prevents a bot farm from stopping every build: each edge is looked at once, however deep the chain."""
    many = 20_000
    ring = [(number, number % many + 1) for number in range(1, many + 1)]
    assert in_cycles(warehouse, ring) == list(range(1, many + 1))
    assert in_cycles(warehouse, ring[:-1]) == []

"""Strongly connected components in the warehouse, against a search by definition, and on graphs that are hard on it."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.warehouse import Warehouse

EDGES = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=25)


def components(warehouse: Warehouse, edges: list[tuple[int, int]]) -> set[frozenset[int]]:
    tails, heads = ([edge[end] for edge in edges] for end in (0, 1))
    found: dict[int, set[int]] = {}
    with warehouse.connect() as connection:
        query = "select node, component from ops.strong_components(%s::integer[], %s::integer[])"
        for node, component in connection.execute(query, [tails, heads]):
            found.setdefault(component, set()).add(node)
    return {frozenset(nodes) for nodes in found.values()}


def reached(edges: list[tuple[int, int]], start: int) -> set[int]:
    seen, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for tail, head in edges:
            if tail == here and head not in seen:
                seen.add(head)
                waiting.append(head)
    return seen


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EDGES)
def test_nodes_that_reach_each_other_are_one_component(warehouse: Warehouse, edges: list[tuple[int, int]]) -> None:
    """Prevents rings that are missed where several cross, and people taken for a ring who only hang below one."""
    nodes = range(1, max((node for edge in edges for node in edge), default=0) + 1)
    below = {node: reached(edges, node) for node in nodes}
    expected = {frozenset(other for other in nodes if other in below[node] and node in below[other]) for node in nodes}
    assert components(warehouse, edges) == expected


def test_a_ring_of_many_thousands_takes_no_longer_than_as_many_pairs(warehouse: Warehouse) -> None:
    """Prevents a bot farm from stopping every build: each edge is looked at once, however deep the chain."""
    many = 20_000
    ring = [(number, number % many + 1) for number in range(1, many + 1)]
    assert components(warehouse, ring) == {frozenset(range(1, many + 1))}
    chain = ring[:-1]
    assert len(components(warehouse, chain)) == many

"""The best way to give each row at most one column, all rows considered together."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

Weights = Mapping[int, Mapping[int, float]]


def assign(weights: Weights) -> dict[int, int]:
    """The pairs whose weights (all positive) have the greatest sum.

    Shortest augmenting paths (Hungarian method) over the pairs there are: rows and columns that
    nothing connects never meet, so the cost follows the pairs and not rows times columns.
    """
    most = max((weight for row in weights.values() for weight in row.values()), default=0.0)
    costs: dict[int, list[tuple[int, float]]] = {}
    for row, columns in weights.items():
        options = [(column, most - weight) for column, weight in columns.items()]
        # Staying alone is a column of the row's own (negative), so every row finds one.
        costs[row] = [*options, (-1 - row, most)]
    row_price: dict[int, float] = dict.fromkeys(costs, 0.0)
    column_price: dict[int, float] = {}
    owner: dict[int, int] = {}
    for start in costs:
        _augment(start, costs, row_price, column_price, owner)
    return {row: column for column, row in owner.items() if column >= 0}


def _augment(
    start: int,
    costs: Mapping[int, list[tuple[int, float]]],
    row_price: dict[int, float],
    column_price: dict[int, float],
    owner: dict[int, int],
) -> None:
    """Find `start` a column, moving other rows when that costs least in all."""
    reached: dict[int, float] = {}
    came_from: dict[int, int] = {}
    settled: set[int] = set()
    heap: list[tuple[float, int]] = []
    row, length = start, 0.0
    while True:
        for column, cost in costs[row]:
            if column in settled:
                continue
            further = length + cost - row_price[row] - column_price.get(column, 0.0)
            if column not in reached or further < reached[column]:
                reached[column] = further
                came_from[column] = row
                heappush(heap, (further, column))
        while True:
            length, column = heappop(heap)
            if column not in settled:
                break
        if column not in owner:
            break
        settled.add(column)
        row = owner[column]
    row_price[start] += length
    for each in settled:
        saved = length - reached[each]
        row_price[owner[each]] += saved
        column_price[each] = column_price.get(each, 0.0) - saved
    free: dict[int, int] = {owner[each]: each for each in settled}
    while True:
        row = came_from[column]
        owner[column] = row
        if row == start:
            return
        column = free[row]

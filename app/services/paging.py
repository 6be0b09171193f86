"""One page of a list, and the list parameters every door understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.errors import Invalid

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
#: beyond this an OFFSET is a mistake, not a question
MAX_PAGE = 1_000_000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of `total` items; `page` counts from 1."""

    items: Sequence[T]
    page: int
    limit: int
    total: int

    @property
    def total_pages(self) -> int:
        return -(-self.total // self.limit)

    @property
    def has_previous(self) -> bool:
        return self.page > 1

    @property
    def has_next(self) -> bool:
        return self.page < self.total_pages


def whole(args: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """The whole number in `args`, or the default when it is absent or empty. Raises Invalid."""
    raw = (args.get(name) or "").strip()
    if not raw:
        return default
    # Bounded before int(): Python refuses to read very long numbers with another error.
    value = int(raw) if raw.isascii() and raw.isdigit() and len(raw) <= 12 else low - 1
    if not low <= value <= high:
        raise Invalid.field(name, f"must be a whole number from {low} to {high}")
    return value


def page_args(
    args: Mapping[str, str], max_limit: int = MAX_LIMIT, default_limit: int = DEFAULT_LIMIT
) -> tuple[int, int]:
    """`page` and `limit` of a list request. Raises Invalid naming the faulty one."""
    return (
        whole(args, "page", 1, 1, MAX_PAGE),
        whole(args, "limit", min(default_limit, max_limit), 1, max_limit),
    )

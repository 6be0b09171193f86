"""Calls every operation that is described, well and badly; says which answers differ."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.core.failures import Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi import checks as conform

from tests.api.described_house import days, known

ALWAYS: tuple[CheckFunction, ...] = (
    conform.status_code_conformance,
    conform.content_type_conformance,
    conform.response_headers_conformance,
    conform.response_schema_conformance,
    conform.negative_data_rejection,
    conform.missing_required_header,
    conform.unsupported_method,
)
#: what is said when our own database refuses; a vendor out of reach is no fault of ours
AWAY = "the database does not answer"
#: readers first, what removes last
ORDER = ("GET", "PUT", "PATCH", "POST", "DELETE")


@dataclass(frozen=True, slots=True)
class Difference:
    operation: str
    kind: str
    status: int
    said: str = field(compare=False)


@dataclass
class Walk:
    """One caller's way through all operations; `differences` are kept once of each kind."""

    app: Flask
    headers: Mapping[str, str]
    seed: int
    differences: dict[Difference, None] = field(default_factory=dict)
    statuses: dict[str, set[int]] = field(default_factory=dict)
    calls: int = 0

    def operations(self) -> Iterator[Any]:
        schema = schemathesis.openapi.from_wsgi("/api/openapi.json", self.app)
        found = [each.ok() for each in schema.get_all_operations()]
        return iter(sorted(found, key=lambda each: ORDER.index(each.method.upper())))

    def go(self, examples: int, edges: int = 0, *, only: str = "") -> None:
        """`examples` drawn at random and `edges` of the rules, for each operation."""
        for operation in self.operations():
            if only in ("", operation.label):
                ids = known()
                for case in self.covered(operation, edges):
                    self.call(placed(case, ids, random.Random(self.seed)))
                self.fuzz(operation, ids, examples)

    def report(self) -> str:
        return "\n\n".join(
            f"{each.operation}: {each.kind} ({each.status})\n{each.said}"
            for each in self.differences
        )

    def covered(self, operation: Any, most: int) -> list[Case]:
        """Cases at the edges of each rule of an operation, the ones the seed picks."""
        if not most:
            return []
        schema = operation.schema
        config = schema.config.generation_for(operation=operation, phase="coverage")
        found = list(
            schema.iter_coverage_cases(
                operation, generation_modes=list(GenerationMode), generation_config=config
            )
        )
        if len(found) > most:
            found = random.Random(self.seed).sample(found, most)
        return found

    def fuzz(self, operation: Any, ids: Mapping[str, Sequence[str]], examples: int) -> None:
        if not examples:
            return
        cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))

        @seeded(self.seed)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases, dice=st.randoms(use_true_random=False))
        def each(case: Case, dice: random.Random) -> None:
            self.call(placed(case, ids, dice))

        each()

    def call(self, case: Case) -> None:
        if case.query and "" in case.query.values():
            return  # what `allowEmptyValue` permits, schemathesis takes for a mistake
        self.calls += 1
        headers = dict(self.headers)
        case.headers.update(headers)  # sent whatever was drawn: a case without them was never sent
        try:
            answer = case.call(headers=headers)
        except Exception:
            said = "".join(traceback.format_exc().splitlines(True)[-14:])
            self.note(case, "raised", 500, said)
            return
        self.statuses.setdefault(case.operation.label, set()).add(answer.status_code)
        checks = [*ALWAYS, *((conform.ignored_auth,) if headers else ())]
        if mended(case, headers):
            checks.remove(conform.negative_data_rejection)
        if answer.status_code != 503 or AWAY in answer.text:
            checks.append(not_a_server_error)
        try:
            case.validate_response(answer, checks=checks, headers=headers)
        except* Failure as group:
            for failure in flat(group):
                said = f"{failure.message[:600]}\n{answer.text[:300]}"
                self.note(case, failure.title, answer.status_code, said)

    def note(self, case: Case, kind: str, status: int, said: str) -> None:
        sent = f"{case.method} {case.formatted_path} query={case.query!r} headers={case.headers!r}"
        body = "" if case.body is NOT_SET else f" body={case.body!r}"
        about = f" [{case.media_type}] {case.meta.phase.data if case.meta else ''}"
        found = Difference(
            case.operation.label, kind, status, f"{sent}{body}{about}\n{said}"[:2400]
        )
        self.differences.setdefault(found)


def mended(case: Case, headers: Mapping[str, str]) -> bool:
    """Whether what was drawn to be wrong may be right as it was sent: the caller's own headers take
    the place of drawn ones, and blanks around a text are not counted."""
    data = case.meta.phase.data if case.meta else None
    places = {each.parameter_location for each in getattr(data, "mutations", ())}
    if headers and ParameterLocation.HEADER in places:
        return True
    described = case.operation.get_body_for_media_type(case.media_type)
    trimmed = _trimmed(case.body)
    if described is None or trimmed == case.body or places - {ParameterLocation.BODY}:
        return False
    validator = case.operation.schema.adapter.jsonschema_validator_cls
    return bool(validator(described.optimized_schema).is_valid(trimmed))


def _trimmed(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _trimmed(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_trimmed(each) for each in value]
    return value.strip() if isinstance(value, str) else value


def flat(group: BaseExceptionGroup[Any]) -> Iterator[Failure]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from flat(each)
        else:
            yield each


def placed(case: Case, ids: Mapping[str, Sequence[str]], dice: random.Random) -> Case:
    """The case with ids and days that there are, where it does not mean to be wrong there."""
    wrong: Callable[[ParameterLocation], bool] = (
        case.meta.is_negative_at if case.meta else lambda _: False
    )

    def pick(name: str, value: Any) -> Any:
        real = days().get(name) or (ids.get(name) and dice.choice(ids[name]))
        return real if real and isinstance(value, str) and dice.random() < 0.8 else value

    if case.path_parameters and not wrong(ParameterLocation.PATH):
        case.path_parameters = {k: pick(k, v) for k, v in case.path_parameters.items()}
    if case.headers and not wrong(ParameterLocation.HEADER):
        case.headers.update({k: pick(k, v) for k, v in case.headers.items()})
    if case.query and not wrong(ParameterLocation.QUERY):
        case.query = {k: pick(k, v) for k, v in case.query.items()}
    if isinstance(case.body, dict) and not wrong(ParameterLocation.BODY):
        case.body = _filled(case.body, pick)
    return case


def _filled(value: Any, pick: Callable[[str, Any], Any]) -> Any:
    if isinstance(value, dict):
        return {k: pick(k, _filled(v, pick)) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(each, pick) for each in value]
    return value

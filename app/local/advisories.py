"""Known vulnerabilities of the packages in this environment, asked of OSV in one request.

`python -m app.local.advisories`: exit status 1 for one that is known and not accepted here. Without
a way to the source it says so and ends well: a check must not depend on somebody else's server.
Nothing but names and versions leaves the machine.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import httpx

#: may be set to a mirror that speaks the same API
VARIABLE = "ADVISORIES_URL"
SOURCE = "https://api.osv.dev"
ECOSYSTEM = "PyPI"
CONNECT_SECONDS, READ_SECONDS = 3.0, 5.0
#: for everything, the details of what was found included
BUDGET_SECONDS = 9.0

#: advisories that do not apply here, each with the reason and the date it was looked at
ACCEPTED: Mapping[str, str] = {}


class Unanswered(Exception):
    """The source cannot be reached, or said nothing that can be understood."""


@dataclass(frozen=True, slots=True)
class Package:
    """One distribution as it is installed."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Advisory:
    """One known vulnerability of one of our packages."""

    package: Package
    id: str
    summary: str
    aliases: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()

    @property
    def accepted(self) -> str | None:
        """Why it does not apply here, when somebody has looked at it."""
        return next((ACCEPTED[name] for name in (self.id, *self.aliases) if name in ACCEPTED), None)


def installed() -> list[Package]:
    """Everything in this environment, what our requirements brought along included."""
    found = {
        (each.metadata["Name"].lower(), each.version)
        for each in metadata.distributions()
        if each.metadata["Name"]
    }
    return [Package(name, version) for name, version in sorted(found)]


def known(packages: Sequence[Package], client: httpx.Client) -> list[Advisory]:
    """What the source knows against these packages, withdrawn advisories left out. Raises
    Unanswered."""
    deadline = time.monotonic() + BUDGET_SECONDS
    queries = [
        {"version": each.version, "package": {"name": each.name, "ecosystem": ECOSYSTEM}}
        for each in packages
    ]
    answer = _json(client, "POST", "/v1/querybatch", {"queries": queries})
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or len(results) != len(packages):
        raise Unanswered("its answer is not one of this API")
    found = []
    for package, result in zip(packages, results, strict=True):
        for each in (result or {}).get("vulns") or ():
            told = _details(client, str(each["id"]), deadline)
            if not told.get("withdrawn"):
                found.append(_advisory(package, str(each["id"]), told))
    return found


def _advisory(package: Package, id_: str, told: Mapping[str, Any]) -> Advisory:
    fixed = {
        event["fixed"]
        for affected in told.get("affected") or ()
        if str((affected.get("package") or {}).get("name", "")).lower() == package.name
        for each in affected.get("ranges") or ()
        if each.get("type") == "ECOSYSTEM"
        for event in each.get("events") or ()
        if "fixed" in event
    }
    summary = str(told.get("summary") or "no summary").splitlines()[0]
    return Advisory(package, id_, summary, tuple(told.get("aliases") or ()), tuple(sorted(fixed)))


def _details(client: httpx.Client, id_: str, deadline: float) -> Mapping[str, Any]:
    """More about one; nothing when there is no time left: that it exists is enough to fail."""
    if time.monotonic() > deadline:
        return {}
    try:
        told = _json(client, "GET", f"/v1/vulns/{id_}")
    except Unanswered:
        return {}
    return told if isinstance(told, dict) else {}


def _json(client: httpx.Client, method: str, path: str, body: object = None) -> Any:
    try:
        answer = client.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unanswered(type(error).__name__) from None
    except ValueError:
        raise Unanswered("its answer is not JSON") from None


def report(found: Iterable[Advisory]) -> bool:
    """Print each; whether all of them are accepted."""
    good = True
    for each in found:
        names = ", ".join((each.id, *each.aliases))
        print(f"{each.package.name} {each.package.version}: {each.summary} ({names})")
        if each.accepted is not None:
            print(f"    accepted: {each.accepted}")
            continue
        good = False
        print(f"    fixed in {', '.join(each.fixed)}" if each.fixed else "    no fix is known")
    return good


def main() -> int:
    """0 when nothing is known against us or nobody could be asked, 1 otherwise."""
    source = os.environ.get(VARIABLE) or SOURCE
    packages = installed()
    limits = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    try:
        with httpx.Client(base_url=source, timeout=limits) as client:
            found = known(packages, client)
    except Unanswered as error:
        print(f"not asked: {source} gives no answer ({error}). Nothing is known either way.")
        return 0
    good = report(found)
    if not found:
        print(f"nothing known against {len(packages)} packages ({source})")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

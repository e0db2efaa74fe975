"""The report of a probe: as a file for a bug report, and as text for a person. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_trackunit import __version__
from airflow_provider_trackunit.iris.calls import utc_text
from airflow_provider_trackunit.iris.probe.observing import Observation
from airflow_provider_trackunit.iris.probe.open_questions import answered

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen with one connection. It holds no value of a record, no credential and no id.

    :param grant: ``API user`` or ``API key``
    :param scope: what the token was granted
    :param own_host: whether the host is that of the documentation
    :param seen: each endpoint of the catalogue, in its order
    :param questions: the open questions, each with what was seen of it
    :param emulator: the switches with which the emulator answers alike
    """

    made_at: str
    provider: str = __version__
    grant: str
    scope: str
    token_lifetime_s: float
    own_host: bool
    metered: bool
    seen: tuple[Observation, ...]
    questions: dict[str, str]
    emulator: dict[str, Any]

    def json(self) -> bytes:
        """Return the file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def report(seen: Sequence[Observation], *, now: dt.datetime, is_key: bool, **about: Any) -> Report:
    """Return the report of what was seen."""
    return Report(
        made_at=utc_text(now),
        grant="API key" if is_key else "API user",
        seen=tuple(seen),
        questions=answered(seen, is_key=is_key),
        **about,
    )


def text(found: Report) -> str:
    """Return the report for a person."""
    asked = [one for one in found.seen if one.outcome != "not asked"]
    parts = [_head(found), list(map(_line, asked)), list(_not_asked(found.seen)), _limits(asked)]
    differs = [f"  {one.endpoint}: {what}" for one in found.seen for what in one.differs]
    parts.append(["Where IRIS differs from the catalogue:", *(differs or ["  nowhere"])])
    questions = [f"  {question} {answer}" for question, answer in found.questions.items()]
    parts.append(["What the documentation leaves open:", *questions])
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _head(found: Report) -> list[str]:
    outcomes = Counter(one.outcome for one in found.seen)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    return [
        f"Token of an {found.grant}: scope '{found.scope}', lifetime {found.token_lifetime_s:.0f} s",
        f"{len(found.seen)} endpoints of the catalogue: {counts}",
    ]


def _line(one: Observation) -> str:
    return (
        f"  {one.outcome:<10} {one.method:<4} {one.endpoint}{f'  ({_remark(one)})' if _remark(one) else ''}"
    )


def _not_asked(seen: Sequence[Observation]) -> Iterator[str]:
    """Yield what was not asked, endpoints that share a reason together."""
    for why in dict.fromkeys(one.why for one in seen if one.outcome == "not asked"):
        yield f"  not asked, because {why}:"
        yield from (f"             {one.method:<4} {one.endpoint}" for one in seen if one.why == why)


def _remark(one: Observation) -> str:
    if one.outcome == "read":
        of = f" of {one.counts['totalElements']}" if "totalElements" in one.counts else ""
        return f"{one.records}{of} record{'s' if one.records != 1 else ''}, {one.seconds} s"
    status = f"HTTP {one.status}" if one.status else ""
    return ", ".join(filter(None, (status, one.code, one.why)))


def _limits(seen: Sequence[Observation]) -> list[str]:
    headers = sorted({name for one in seen for name in one.headers})
    return [
        "Limits that answers spoke of:",
        *(list(_spoken_of(seen)) or ["  none"]),
        "Headers that came:",
        f"  {', '.join(headers) or 'none'}",
    ]


def _spoken_of(seen: Sequence[Observation]) -> Iterator[str]:
    for one in seen:
        for name, value in one.limits.items():
            yield f"  {one.endpoint}: {name} {value}"

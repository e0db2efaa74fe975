"""The month: two runs a day as Airflow would run them, and what goes wrong with them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from pyarrow import parquet

from airflow_provider_trackunit.emulator import REAL_FLEET
from airflow_provider_trackunit.iris.http.pacing import forget_limits
from airflow_provider_trackunit.results import read_records
from airflow_provider_trackunit.tables import readings, site_visits
from airflow_provider_trackunit.transfers import Incremental, IrisToObjectStorageOperator
from tests.tables.thirty_days.fleet import DATAPOINTS, Books, Window
from tests.tables.thirty_days.lake import Death, KilledError
from tests.tables.thirty_days.warehouses import STEPS, Load, Warehouses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from airflow_provider_trackunit.emulator import IrisEmulator
    from tests.tables.thirty_days.calendar import Calendar
    from tests.tables.thirty_days.lake import Lake

FLEET: Final = "/public/api/aemp/v2/15143/-3/Fleet"
SERIES: Final = f"{FLEET}/Equipment/ID/{{pin}}/{{datapoint}}/{{from}}/{{until}}"
BUCKET: Final = "s3://lake@bucket"
STATE: Final = "state/_series.json"
STAYS: Final = "/api/site/v1/sites/history"

#: In Copenhagen the clocks go forward on the 29th.
BEGIN: Final = dt.datetime(2026, 3, 9, tzinfo=dt.UTC)
TIME_ZONE: Final = "Europe/Copenhagen"
HALF_A_DAY: Final = dt.timedelta(hours=12)
_LATEST_BY: Final = dt.timedelta(days=2)
#: Whatever is late by no more than that is read; runs begin up to twenty minutes after their end.
LOOKBACK: Final = _LATEST_BY + dt.timedelta(hours=1)
#: A stay is listed by its beginning, and lasts less than five days: so long it is looked at again, until it has ended.
STAYS_LOOKBACK: Final = dt.timedelta(days=6)
_MOST_DELAY_S: Final = 1200

#: Everything that real fleets do, with a reading each hour, so that a month is a matter of minutes (one machine of ten
#: still has one each ten minutes); and without the limits of single URLs, which have tests of their own.
SWITCHES: Final = {
    **REAL_FLEET,
    "hours_step_s": 3600,
    "location_step_s": 3600,
    "latest_by_s": int(_LATEST_BY.total_seconds()),
    "aemp_url_interval_s": None,
}
#: How often a run of a hundred is killed so many times. After the third time Airflow has no retry left.
_KILLS: Final = {0: 50, 1: 30, 2: 14, 3: 6}
# What is worth dying at: every operation, and those between which something is there and something is not yet.
_PLACES: Final = ("", "", "", "_manifest", STATE, "_checkpoint", "part-", ".claim", "windows-")


class Run(NamedTuple):
    """One run of the schedule, by its data interval."""

    run_id: str
    begin: dt.datetime
    end: dt.datetime
    number: int

    @property
    def file_format(self) -> Literal["jsonl", "parquet"]:
        """Every other run writes Parquet."""
        return "parquet" if self.number % 2 else "jsonl"


@dataclass
class Story:
    """What happened, to be told and to be checked."""

    tries: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    loads_killed: int = 0
    skipped: set[str] = field(default_factory=set)
    compared: int = 0
    wrong: list[str] = field(default_factory=list)
    schemas: dict[str, set[bytes]] = field(default_factory=dict)
    typed_parts: int = 0
    rows: int = 0


class Month:
    """Thirty days, or fewer.

    :param days: how many
    :param chance: what goes wrong, and when
    """

    def __init__(
        self,
        iris: IrisEmulator,
        calendar: Calendar,
        lake: Lake,
        warehouses: Warehouses,
        books: Books,
        *,
        days: int,
        machines: int,
        chance: Random,
        tell: Callable[[str], None],
    ) -> None:
        self._iris = iris
        self._calendar = calendar
        self._lake = lake
        self._warehouses = warehouses
        self._books = books
        self._machines = machines
        self._chance = chance
        self._tell = tell
        self.runs = [
            Run(
                f"scheduled-{number:03d}",
                BEGIN + number * HALF_A_DAY,
                BEGIN + (number + 1) * HALF_A_DAY,
                number,
            )
            for number in range(2 * days)
        ]
        self.names: set[str] = set()
        self.story = Story()
        self._first_tried: dict[str, float] = {}
        self.now = BEGIN

    @property
    def until(self) -> dt.datetime:
        """The end of the last run."""
        return self.runs[-1].end

    def pass_by(self) -> None:
        """Let the month pass."""
        third, half, last = len(self.runs) // 3, len(self.runs) // 2, len(self.runs) * 4 // 5
        for run in self.runs:
            self._at(run.end + dt.timedelta(seconds=self._chance.randrange(_MOST_DELAY_S)))
            if run.number == third:
                self._iris.fleet(hide=[2, 3, 11], grow=max(2, self._machines // 50))
            if run.number == third + max(1, len(self.runs) // 8):
                self._iris.fleet(show=[2, 3, 11])
            if run.number == half:
                self._back_fill(run)
            if run.number == last:
                self._clear(self.runs[third])
                self._clear(self.runs[third + 1])
            # The last run comes through, so that all there is to know is known at the end.
            self._run(run, kills=0 if run is self.runs[-1] else self._times_killed())
            self._tell(
                f"{run.end:%d %b %H:%M}: {run.file_format}, {self.story.rows:,} readings loaded so far"
            )
            if self.story.failed and self._chance.random() < 0.5:
                self._clear_the_first_that_failed(after=run)
        for run_id in list(self.story.failed):
            self._clear(self._named(run_id))

    def _clear_the_first_that_failed(self, after: Run) -> None:
        if self.story.failed[-1] == after.run_id:
            # A run that died says for ten minutes that it is at work, and no other may begin.
            self._at(self.now + dt.timedelta(minutes=15))
        self._clear(self._named(self.story.failed[0]))

    def _named(self, run_id: str) -> Run:
        return next(run for run in self.runs if run.run_id == run_id)

    def _at(self, now: dt.datetime) -> None:
        self.now = now
        self._calendar.set(now.timestamp())
        self._iris.advance(HALF_A_DAY.total_seconds())  # tokens age, too
        self._iris.set_date(f"{now:%Y-%m-%dT%H:%M:%SZ}")

    def _times_killed(self) -> int:
        return self._chance.choices(list(_KILLS), list(_KILLS.values()))[0]

    def _back_fill(self, at: Run) -> None:
        """Lose two weeks in the middle, or most of what there is, and read them again day by day, as a back-fill does."""
        lost = self.runs[max(0, at.number - 30) : at.number - 2]
        self._warehouses.forget(lost[0].begin, lost[-1].end)
        before = self._state()
        for morning in lost[::2]:
            end = min(morning.end + HALF_A_DAY, lost[-1].end)
            day = morning._replace(run_id=f"backfill-{morning.number:03d}", end=end)
            self._run(day, kills=self._times_killed() % 3)
        if self._state() != before:
            self.story.wrong.append("a back-fill moved the state")
        self._tell(f"{len(lost)} runs were lost and back-filled")

    def _clear(self, run: Run) -> None:
        """Run a run again that ended, well or not, as a person does who clears it."""
        if run.run_id in self.story.failed:
            self.story.failed.remove(run.run_id)
        before = self._state()
        self._run(run, kills=0)
        moved = [item for item, cursor in before.items() if self._state().get(item, "") < cursor]
        if moved:
            self.story.wrong.append(f"{run.run_id} was cleared and moved {len(moved)} cursors back")

    def _state(self) -> dict[str, str]:
        import msgspec

        items: dict[str, str] = msgspec.json.decode(self._lake.cat_file(f"bucket/{STATE}"))["items"]
        return items

    # -- one run

    def _run(self, run: Run, *, kills: int) -> None:
        """Let a run happen: fleet, series, stays, load, tried again when it is killed; the third kill is the end of it."""
        self._first_tried.setdefault(run.run_id, self.now.timestamp())
        for tried in range(3):
            self.story.tries += 1
            death = self._death() if tried < kills else None
            try:
                fleet, series, stays = self._transferred(run, death)
                break
            except KilledError:
                self.story.kills[(death.of if death else "") or "any operation"] += 1
            finally:
                self._lake.death = None
        else:
            self.story.failed.append(run.run_id)
            return
        self._check_parts(fleet, series, stays)
        self._load(fleet, series, stays)
        self._compare(series, self._first_tried[run.run_id])

    def _death(self) -> Death:
        of = self._chance.choice(_PLACES)
        nth = self._chance.randint(1, 40) if not of else self._chance.randint(1, 4)
        return Death(nth, of, self._chance.choice(("before", "after")))

    def _transferred(self, run: Run, death: Death | None) -> list[dict[str, Any]]:
        # Some die on their way to the fleet, most on their way to its series.
        early = self._chance.random() < 0.2
        forget_limits()
        self._lake.death = death if early else None
        fleet = self._operator(run, "fleet", FLEET, query_params={"addMetadata": "true"}).execute(
            _context(run, "fleet")
        )
        self._lake.death = death
        names = list(dict.fromkeys(filter(None, map(_name_of, read_records(fleet)))))
        self.names.update(names)
        series = self._operator(
            run,
            "series",
            SERIES,
            path_params=[{"pin": name, "datapoint": one} for name in names for one in DATAPOINTS],
            on_item_error="skip",
            incremental=Incremental(
                state=f"{BUCKET}/{STATE}",
                start=f"{BEGIN:%Y-%m-%dT%H:%M:%SZ}",
                lookback=LOOKBACK,
                per_item=True,
            ),
        ).execute(_context(run, "series"))
        stays = self._operator(
            run,
            "stays",
            STAYS,
            query_params={"fromTime": "{from}", "toTime": "{until}"},
            incremental=Incremental(
                state=f"{BUCKET}/state/_stays.json",
                start=f"{BEGIN:%Y-%m-%dT%H:%M:%SZ}",
                lookback=STAYS_LOOKBACK,
            ),
        ).execute(_context(run, "stays"))
        return [fleet, series, stays]

    def _operator(self, run: Run, task: str, endpoint: str, **arguments: Any) -> IrisToObjectStorageOperator:
        return IrisToObjectStorageOperator(
            task_id=task,
            endpoint=endpoint,
            output_path=f"{BUCKET}/{task}/{run.run_id}",
            file_format=run.file_format,
            # Small and often, so that there is something to die between.
            part_bytes=1024 * 1024,
            checkpoint_interval_s=1.0,
            **arguments,
        )

    def _load(self, fleet: dict[str, Any], series: dict[str, Any], stays: dict[str, Any]) -> None:
        rows = readings([fleet, series])
        self.story.rows += len(rows)
        since = min(rows["observed_at"].to_pylist()).date() - dt.timedelta(days=1)
        load = Load(rows, since, site_visits(stays))
        fate = self._chance.random()
        if fate < 0.1 and self._warehouses.postgresql is not None:
            self._warehouses.load_while_it_goes_away(load, self._chance)
            return
        if fate < 0.3:
            try:
                self._warehouses.load(load, dies_after=self._chance.randrange(STEPS))
            except KilledError:
                self.story.loads_killed += 1
        self._warehouses.load(load)

    # -- what is seen at once

    def _check_parts(self, *manifests: dict[str, Any]) -> None:
        for manifest in manifests:
            if manifest["format"] != "parquet":
                continue
            for part in manifest["parts"]:
                path = f"{manifest['output_path'].removeprefix('s3://lake@')}/{part['name']}"
                with self._lake.open(path) as file:
                    schema = parquet.read_schema(file).serialize().to_pybytes()
                self.story.schemas.setdefault(manifest["endpoint"], set()).add(schema)
                self.story.typed_parts += 1

    def _compare(self, series: dict[str, Any], first_tried: float) -> None:
        """Compare what came of some machines with what was there to come, record by record.

        A run that failed keeps what it had fetched, and is cleared later: what came late in between, a later run reads.
        """
        self.story.skipped.update(one["path_params"]["pin"] for one in series["skipped"])
        names = self._chance.sample(sorted(self.names - self.story.skipped), 4)
        came = Counter((item["pin"], item["datapoint"]) for item in _items(series) if item["pin"] in names)
        for name, datapoint, window in self._planned(series, names):
            least, most = (
                len(self._books.samples(name, datapoint, window, now))
                for now in (first_tried, self.now.timestamp())
            )
            self.story.compared += most
            if not least <= came[name, datapoint] <= most:
                self.story.wrong.append(
                    f"{series['output_path']}: {came[name, datapoint]} records of {name} {datapoint}, not {most}"
                )

    def _planned(self, series: dict[str, Any], names: list[str]) -> Iterator[tuple[str, str, Window]]:
        import msgspec

        folder = series["output_path"].removeprefix("s3://lake@")
        plan = msgspec.json.decode(self._lake.cat_file(f"{folder}/{series['windows_file']}"))["items"]
        for key, ends in plan.items():
            item = msgspec.json.decode(key)
            if item["pin"] in names:
                since, until = (dt.datetime.fromisoformat(one).timestamp() for one in ends)
                yield item["pin"], item["datapoint"], Window(since, until)


def _items(series: dict[str, Any]) -> Iterator[dict[str, str]]:
    typed = series["format"] == "parquet"
    for record in read_records(series):
        yield (
            {"pin": record["_request_pin"], "datapoint": record["_request_datapoint"]}
            if typed
            else record["_request"]
        )


def _context(run: Run, task: str) -> Any:
    dates = SimpleNamespace(data_interval_start=run.begin, data_interval_end=run.end, start_date=run.end)
    instance = SimpleNamespace(dag_id="machine_days", task_id=task, run_id=run.run_id, map_index=-1)
    return {"ti": instance, "dag_run": dates}


def _name_of(record: dict[str, Any]) -> str | None:
    """Return how a machine is asked for: by its PIN, else by its serial number."""
    header = record.get("EquipmentHeader", {})
    name: str | None = (
        record.get("pin") or header.get("PIN") or record.get("serial_number") or header.get("SerialNumber")
    )
    return name

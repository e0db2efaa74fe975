"""``make e2e-celery``: real Celery workers between PostgreSQL and Redis, one of them killed in the middle.

A DAG reads the fleet into a shared folder and then the hours of each machine with a task instance of its own, several
hundred of them, while one of two workers is lost. Every record has to be there exactly once, and a pool has to keep
the requests of all workers together within the limit of the API. Then it measures what a second worker brings.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import secrets
import shutil
import sys
import time
import urllib.parse
import urllib.request
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2  # type: ignore[import-untyped,unused-ignore] # comes with the PostgreSQL provider
from airflow import __version__ as airflow_version

from airflow_provider_trackunit.emulator import IrisEmulator
from dev.airflow_home import EXAMPLES, ROOT, AirflowCommandError, AirflowHome, interrupt_once
from dev.parts import LOOPBACK, PartFailedError, Parts, free_port
from dev.ui import HEALTHY_WITHIN_S, PARTS, healthy
from tests.e2e.programs import MissingProgramError
from tests.e2e.services import Services, start_services

if TYPE_CHECKING:
    from collections.abc import Callable

DAGS = Path(__file__).parent / "dags"
ASSETS = 500
INSTANCES = 300
MEASURED_INSTANCES = 40
CONCURRENCY = 4
POOL = "trackunit"
# The pool as the example brings it.
POOLS = EXAMPLES / "pools.json"
KILL_SLOTS = json.loads(POOLS.read_text())[POOL]["slots"]
# What IRIS allows the history of values, per second, and a share of it that two workers can reach.
AEMP_CALLS_PER_S = 500
SHARE_CALLS_PER_S = 2
# With as many slots as requests per second, one of 40 was refused here; half of that keeps the limit.
SHARE_SLOTS = SHARE_CALLS_PER_S // 2
QUARTER_S = 900
DOCS = ROOT / "docs" / "reliability.md"
BY = "written by make e2e-celery"
HEAD = (
    "| Workers | Pool | Limit of the API | Seconds | Instances per second | Refused (429) | Tried again |\n"
    "|---|---|---|---|---|---|---|"
)
WORKERS = ("worker-1", "worker-2")
RUN_WITHIN_S = 600
#: How long IRIS takes for an answer; longer where the killed worker shall be in the middle of something.
LATENCY_MS = 300.0
KILL_LATENCY_MS = 1000.0
BUSY = 3
HOURS = "CumulativeOperatingHours/2026-01-05T00:00:00Z/2026-01-08T00:00:00Z"


class RunError(Exception):
    """The run did not end as it should; the text says what is wrong."""


@dataclass(frozen=True)
class Cluster:
    """A running Airflow with its Celery workers.

    :param settings: the environment that all its parts share
    """

    home: AirflowHome
    parts: Parts
    settings: dict[str, str]
    services: Services

    def start_worker(self, name: str) -> None:
        """Start a worker and wait until it takes tasks."""
        command = ["celery", "worker", "--celery-hostname", name, "--concurrency", str(CONCURRENCY)]
        self.parts.start(
            name,
            [
                sys.executable,
                "-m",
                "airflow",
                *command,
                "--skip-serve-logs",
                "--without-mingle",
                "--without-gossip",
            ],
            self.home.environment(**self.settings),
        )
        self.parts.wait_until(lambda: " ready." in self.parts.log(name).read_text(), name, HEALTHY_WITHIN_S)

    def airflow(self, *arguments: str) -> str:
        """Return what an Airflow command printed."""
        return self.home.run(*arguments, timeout_s=120, **self.settings)

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return rows of the metadata database."""
        connected = psycopg2.connect(f"postgresql://{self.services.database}")
        with closing(connected) as database, database.cursor() as cursor:
            cursor.execute(statement, values)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows

    def states(self, run_id: str, task_id: str) -> Counter[str]:
        """Return how many instances of a task are in which state."""
        rows = self.query(
            "select coalesce(state, 'none'), count(*) from task_instance "
            "where run_id = %s and task_id = %s group by 1",
            run_id,
            task_id,
        )
        return Counter(dict(rows))

    def run(
        self, dag_id: str, run_id: str, meanwhile: Callable[[], None] = lambda: None, **params: Any
    ) -> None:
        """Run a DAG to its end.

        :param meanwhile: called again and again while it runs
        :raises RunError: when it fails or takes too long
        """
        self.airflow("dags", "trigger", dag_id, "--run-id", run_id, "--conf", json.dumps(params))
        begun = time.monotonic()
        while time.monotonic() - begun < RUN_WITHIN_S:
            self.parts.refuse_ended()
            ((state,),) = self.query("select state from dag_run where run_id = %s", run_id)
            if state == "success":
                return
            if state == "failed":
                break
            meanwhile()
            time.sleep(1)
        hours = dict(self.states(run_id, "hours"))
        raise RunError(f"{dag_id}: {state} after {time.monotonic() - begun:.0f} s; hours: {hours}")

    def tried_again(self, run_id: str) -> int:
        """Return how many instances needed more than one try."""
        ((count,),) = self.query(
            "select count(*) from task_instance where run_id = %s and try_number > 1", run_id
        )
        return int(count)

    def seconds(self, run_id: str, task_id: str) -> float:
        """Return the time between the first start of a task's instances and the last end."""
        ((seconds,),) = self.query(
            "select extract(epoch from max(end_date) - min(start_date)) from task_instance "
            "where run_id = %s and task_id = %s",
            run_id,
            task_id,
        )
        return float(seconds)


def start_cluster(home: AirflowHome, services: Services, iris: IrisEmulator, parts: Parts) -> Cluster:
    """Start everything but the workers."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    database = f"postgresql+psycopg2://{services.database}"
    settings = {
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__CELERY__BROKER_URL": services.broker,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://{services.database}",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        # No more than the workers take soon: what waits in the queue for too long counts as lost.
        "AIRFLOW__CORE__PARALLELISM": str(2 * len(WORKERS) * CONCURRENCY),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        # A lost worker is noticed after so many seconds; by default after 300, and what it had taken from the
        # queue without starting it after 600.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "3",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "40",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    }
    cluster = Cluster(home, parts, settings, services)
    cluster.airflow("db", "migrate")
    file = home.path / "connections.json"
    file.write_text(json.dumps({"trackunit_default": json.loads(iris.connection_json())}))
    cluster.airflow("connections", "import", str(file))
    file.unlink()
    for name, arguments in PARTS.items():
        parts.start(name, [sys.executable, "-m", "airflow", *arguments], home.environment(**settings))
    parts.wait_until(lambda: healthy(port), "Airflow", HEALTHY_WITHIN_S)
    return cluster


class Truth:
    """What IRIS has, read without the provider: plain requests, one after the other, with the limits switched off."""

    def __init__(self, iris: IrisEmulator) -> None:
        self._iris = iris
        iris.settings(limits_on=False, latency_ms=0)
        who = base64.b64encode(f"{iris.client_id}:{iris.client_secret}".encode()).decode()
        form = {
            "grant_type": "password",
            "username": iris.username,
            "password": iris.password,
            "scope": "api",
        }
        self._headers = {"Authorization": f"Basic {who}"}
        answer = self._asked(iris.auth_url, urllib.parse.urlencode(form).encode())
        self._headers = {"Authorization": f"Bearer {answer['access_token']}", "Accept": "application/json"}

    def records(self, path: str) -> list[dict[str, Any]]:
        """Return every record of an AEMP collection."""
        url: str | None = f"{self._iris.url}/public/api/aemp/v2/15143/-3/Fleet{path}/1"
        records = []
        while url:
            answer = self._asked(url)
            (page,) = [value for name, value in answer.items() if isinstance(value, list) and name != "links"]
            records += page
            url = next((link["href"] for link in answer["links"] if link["rel"] == "next"), None)
        return records

    def hours(self, pin: str) -> list[dict[str, Any]]:
        """Return the readings of one machine."""
        return self.records(f"/Equipment/ID/{urllib.parse.quote(pin, safe='')}/{HOURS}")

    def _asked(self, url: str, form: bytes | None = None) -> dict[str, Any]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(url, form, self._headers)
        with opener.open(request, timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
        return answer


def stored(folder: Path) -> list[dict[str, Any]]:
    """Return the records of a finished transfer: those of the parts that its manifest names.

    :raises RunError: when the manifest is missing or does not say how many there are
    """
    manifest = json.loads((folder / "_manifest.json").read_text())
    records = []
    for part in manifest["parts"]:
        with gzip.open(folder / part["name"]) as lines:
            records += [json.loads(line) for line in lines]
    if len(records) != manifest["records"]:
        raise RunError(f"{folder}: {len(records)} records, the manifest says {manifest['records']}")
    return records


def check_records(folder: Path, iris: IrisEmulator, instances: int) -> int:
    """Compare everything that a run stored with what IRIS has, and return the number of records.

    :raises RunError: when a record is missing, doubled or changed
    """
    truth = Truth(iris)
    fleet = stored(folder / "fleet")
    if fleet != truth.records(""):
        raise RunError("the fleet that was stored is not the fleet of IRIS")
    pins = list(dict.fromkeys(pin for machine in fleet if (pin := machine["EquipmentHeader"].get("PIN"))))
    count = len(fleet)
    for number, pin in enumerate(pins[:instances]):
        readings = stored(folder / "hours" / f"{number:04d}")
        if readings != truth.hours(pin):
            raise RunError(f"the readings of machine {number} are not those of IRIS")
        count += len(readings)
    folders = len(list((folder / "hours").iterdir()))
    if folders != instances:
        raise RunError(f"{folders} folders of {instances} instances")
    return count


class Killer:
    """Kills a worker, with all its processes, when a third of the instances is done and several are running."""

    def __init__(self, cluster: Cluster, run_id: str, worker: str) -> None:
        self._cluster = cluster
        self._run_id = run_id
        self._worker = worker
        self.killed = False

    def __call__(self) -> None:
        """Look, and kill once."""
        states = self._cluster.states(self._run_id, "hours")
        if self.killed or states["success"] < INSTANCES // 3 or states["running"] < BUSY:
            return
        processes = self._cluster.parts.kill(self._worker)
        self.killed = True
        _say(f"  {dict(states)}: killed {self._worker}, {processes} processes")


@dataclass(frozen=True)
class Measured:
    """What one run of the fan-out came to."""

    workers: str
    pool: str
    limit: str
    seconds: float
    refused: int
    tried_again: int

    def row(self) -> str:
        """Return a row of the table in the docs."""
        rate = MEASURED_INSTANCES / self.seconds
        cells = [
            self.workers,
            self.pool,
            self.limit,
            f"{self.seconds:.0f}",
            f"{rate:.1f}",
            self.refused,
            self.tried_again,
        ]
        return f"| {' | '.join(map(str, cells))} |"


class Measurements:
    """Runs the same number of instances under different conditions."""

    def __init__(self, cluster: Cluster, iris: IrisEmulator, output: str) -> None:
        self._cluster = cluster
        self._iris = iris
        self._output = output
        self.rows: list[Measured] = []

    def fan_out(self, workers: str, slots: int | None, calls_per_s: int) -> None:
        """Measure an instance for each machine.

        :param slots: of the pool; None for no pool
        :param calls_per_s: the limit of the API
        """
        dag_id = "fan_out" if slots else "fan_out_without_pool"
        if slots:
            set_pool(self._cluster, slots)
        self._measure(dag_id, workers, _slots(slots), calls_per_s, MEASURED_INSTANCES)

    def one_task(self, pins: list[str], calls_per_s: int) -> None:
        """Measure one task for all machines."""
        self._measure("one_task", "1, one task for all", _slots(SHARE_SLOTS), calls_per_s, pins)

    def refuse_refusals(self) -> None:
        """Check that the last run kept the limit.

        :raises RunError: when IRIS refused a request
        """
        if self.rows[-1].refused:
            raise RunError(f"{self.rows[-1].refused} requests were refused in spite of the pool")

    def _measure(self, dag_id: str, workers: str, pool: str, calls_per_s: int, machines: Any) -> None:
        # A quarter of an hour later: each URL may be asked again.
        self._iris.advance(QUARTER_S)
        self._iris.settings(limits_on=True, series_calls_per_s=calls_per_s, latency_ms=LATENCY_MS)
        refused = self._iris.stats()["rate_limited"]
        run_id = f"measured-{len(self.rows)}"
        self._cluster.run(dag_id, run_id, output=self._output, machines=machines)
        measured = Measured(
            workers,
            pool,
            f"{calls_per_s}/s",
            self._cluster.seconds(run_id, "hours"),
            self._iris.stats()["rate_limited"] - refused,
            self._cluster.tried_again(run_id),
        )
        self.rows.append(measured)
        _say(measured.row())


def _slots(slots: int | None) -> str:
    return "none" if slots is None else f"{slots} slot{'s' * (slots > 1)}"


def set_pool(cluster: Cluster, slots: int) -> None:
    """Make the pool, or change its size."""
    cluster.airflow("pools", "set", POOL, str(slots), "Requests to Trackunit IRIS")


def main() -> None:
    """Run everything.

    :raises SystemExit: with 1 when something is not as it should be
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the figures into {DOCS.relative_to(ROOT)}")
    write = parser.parse_args().write
    interrupt_once()
    home = AirflowHome(ROOT / ".airflow" / f"e2e-celery-{airflow_version}", DAGS)
    shutil.rmtree(home.path, ignore_errors=True)
    home.path.mkdir(parents=True)
    begun = time.monotonic()
    try:
        with (
            Parts(home.path) as services,
            IrisEmulator.start(assets=ASSETS, process=True) as iris,
            Parts(home.path) as parts,
        ):
            cluster = start_cluster(home, start_services(home.path, services), iris, parts)
            for worker in WORKERS:
                cluster.start_worker(worker)
            _say(
                f"Airflow {airflow_version}, PostgreSQL, Redis and two workers are up "
                f"after {time.monotonic() - begun:.0f} s"
            )
            text = _lose_a_worker(cluster, iris, home.path / "shared")
            _say(f"\n{text}\n\n{HEAD}")
            table = _measure(cluster, iris, home.path / "shared")
    except (AirflowCommandError, PartFailedError, MissingProgramError, RunError) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("Stopped.") from None
    if write:
        _write("lost worker", text)
        _write("table", table)
    _say(f"\nEverything is stopped, after {time.monotonic() - begun:.0f} s.")


def _lose_a_worker(cluster: Cluster, iris: IrisEmulator, output: Path) -> str:
    cluster.airflow("pools", "import", str(POOLS))
    iris.settings(latency_ms=KILL_LATENCY_MS)
    killer = Killer(cluster, "lost-worker", WORKERS[-1])
    cluster.run("fan_out", "lost-worker", killer, output=output.as_uri(), machines=INSTANCES)
    stats = iris.stats()
    seconds = cluster.seconds("lost-worker", "hours")
    again = cluster.tried_again("lost-worker")
    if not killer.killed or not again:
        raise RunError(f"the worker was lost in vain: killed {killer.killed}, {again} instances tried again")
    # Each of the two kinds of requests that a task makes, for a token and for its machine, one at a time.
    if stats["max_concurrent"] > KILL_SLOTS:
        raise RunError(f"{stats['max_concurrent']} requests at once, the pool has {KILL_SLOTS} slots")
    records = check_records(output / "lost-worker", iris, INSTANCES)
    asked = [count for path, count in stats["calls"].items() if "/CumulativeOperatingHours/" in path]
    return (
        f"{INSTANCES} instances on two workers of {CONCURRENCY} slots each, "
        f"one worker killed (SIGKILL) after a third of them: "
        f"{seconds:.0f} s, {again} running instance{'s' * (again > 1)} lost and tried again, "
        f"{sum(asked) - len(asked)} requests sent twice, "
        f"at most {stats['max_concurrent']} requests at once with a pool of {KILL_SLOTS} slots, "
        f"{stats['rate_limited']} refused (429); {records:,} records, each exactly once."
    )


def _measure(cluster: Cluster, iris: IrisEmulator, output: Path) -> str:
    fleet = stored(output / "lost-worker" / "fleet")
    pins = list(dict.fromkeys(pin for machine in fleet if (pin := machine["EquipmentHeader"].get("PIN"))))
    measurements = Measurements(cluster, iris, output.as_uri())
    measurements.fan_out("1", None, AEMP_CALLS_PER_S)
    cluster.start_worker(WORKERS[-1])
    measurements.fan_out("2", None, AEMP_CALLS_PER_S)
    measurements.fan_out("2", None, SHARE_CALLS_PER_S)
    measurements.fan_out("2", SHARE_SLOTS, SHARE_CALLS_PER_S)
    measurements.refuse_refusals()
    measurements.one_task(pins[:MEASURED_INSTANCES], AEMP_CALLS_PER_S)
    return "\n".join([HEAD, *(measured.row() for measured in measurements.rows)])


def _write(name: str, text: str) -> None:
    """Put figures between their marks in the docs."""
    begin, end = f"<!-- {name}: {BY} -->", f"<!-- end of {name} -->"
    before, _, rest = DOCS.read_text().partition(begin)
    after = rest.partition(end)[2]
    DOCS.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()

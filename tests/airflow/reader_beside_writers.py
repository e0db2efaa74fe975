"""``python -m tests.airflow.reader_beside_writers [file|s3 ...]``: a reader in a loop, beside writers that are killed.

The writers are real transfers in real processes, killed with SIGKILL at moments that nobody chose, tried again, given
up, or with a second try of the same run beside the first. Between two runs the fleet changes, so each result can be
told from every other. The reader follows the manifest all the time. What it may never see: no result once there was
one, half a result, or records of two runs in one. A part that is gone is right only if the manifest has changed.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import random
import sys
import tempfile
import threading
from collections import Counter
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.hooks import IrisHook
from airflow_provider_trackunit.results import read_manifest, read_records
from tests.airflow import writer

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A whole transfer takes about as long; a kill comes at any moment of it.
LONGEST_LIFE_S = 0.6
S3_CONNECTION = "reader_beside_writers"


class BrokenPromiseError(Exception):
    """The reader saw what it may never see."""


class Reader(threading.Thread):
    """Reads the result of a folder again and again, and checks each.

    :param expected: run -> the ids of the assets that there are during it
    """

    def __init__(self, output_path: str, conn_id: str | None, expected: dict[str, Counter[str]]) -> None:
        super().__init__(name="reader", daemon=True)
        self._output_path = output_path
        self._conn_id = conn_id
        self._expected = expected
        self._done = threading.Event()
        self.seen: Counter[str] = Counter()
        self.runs: set[str] = set()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._done.is_set():
                self.seen[self._look()] += 1
        except BaseException as error:  # noqa: BLE001 - told to whoever finishes this
            self.error = error

    def finish(self) -> None:
        """Stop reading, and say what was wrong.

        :raises BrokenPromiseError: when something was
        """
        self._done.set()
        self.join(30)
        if self.error is not None:
            raise BrokenPromiseError(repr(self.error)) from self.error

    def _look(self) -> str:
        manifest = self._manifest()
        if manifest is None:
            return "none yet"
        try:
            ids = Counter(record["id"] for record in read_records(manifest, conn_id=self._conn_id))
        except FileNotFoundError:
            if self._manifest() == manifest:
                raise BrokenPromiseError("a part is gone that the manifest still names") from None
            return "replaced while it was read"
        run = manifest["run"]["run_id"]
        if ids != self._expected[run]:
            wrong = (ids - self._expected[run]) + (self._expected[run] - ids)
            raise BrokenPromiseError(f"{run}: {len(wrong)} records lost, doubled or of another run")
        self.runs.add(run)
        return "whole"

    def _manifest(self) -> dict[str, Any] | None:
        try:
            return read_manifest(self._output_path, conn_id=self._conn_id)
        except FileNotFoundError:
            if self.runs:
                raise BrokenPromiseError("there is no result any more") from None
            return None


def kill_writers_beside_a_reader(
    output_path: str, conn_id: str | None, *, runs: int, seed: int
) -> Counter[str]:
    """Let runs follow each other, their writers killed at random, while a reader looks on.

    :param runs: how many; the first and the last are not disturbed
    :return: what the reader saw, and how many tries were killed and ended well
    :raises BrokenPromiseError: when the reader saw what it may not, or a last run that nobody disturbs does not succeed
    """
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([writer.__name__])
    counts: Counter[str] = Counter()
    expected: dict[str, Counter[str]] = {}
    with IrisEmulator.start(assets=250) as iris:
        os.environ["AIRFLOW_CONN_TRACKUNIT_DEFAULT"] = iris.connection_json()
        iris.settings(latency_ms=5)
        reader = Reader(output_path, conn_id, expected)
        reader.start()
        for number in range(1, runs + 1):
            run_id = f"run {number}"
            expected[run_id] = _another_fleet(iris, chance)
            undisturbed = number in {1, runs}
            writers = [
                processes.Process(target=writer.write, args=(dict(os.environ), output_path, conn_id, run_id))
                for _ in range(1 if undisturbed else chance.randint(1, 3))
            ]
            for one in writers:
                one.start()
                if not undisturbed:
                    # Some are done by then, some are not, and then some go on beside the next.
                    one.join(chance.uniform(0, LONGEST_LIFE_S))
                    if chance.random() < 0.7:
                        one.kill()
            for one in writers:
                one.join()
                counts[
                    {0: "tries that ended well", -9: "tries killed"}.get(one.exitcode or 0, "tries failed")
                ] += 1
            if not reader.is_alive():
                break
        reader.finish()
        manifest = read_manifest(output_path, conn_id=conn_id)
        if manifest["run"]["run_id"] != run_id:
            raise BrokenPromiseError("a run that nobody disturbed did not end well")
    return counts + reader.seen + Counter({"runs": number, "runs whose result was read": len(reader.runs)})


def _another_fleet(iris: IrisEmulator, chance: random.Random) -> Counter[str]:
    """Change the fleet, and return the ids of its assets."""
    iris.fleet(**chance.choice([{"grow": chance.randint(1, 20)}, {"shrink": chance.randint(1, 20)}]))
    with IrisHook() as hook:
        return Counter(record["id"] for record in hook.records(writer.ENDPOINT))


@contextmanager
def bucket() -> Iterator[tuple[str, str]]:
    """Serve S3, and yield a path in it and the connection that reaches it."""
    boto3 = import_module("boto3")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = import_module("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        where = {"endpoint_url": f"http://{host}:{port}", "region_name": "eu-west-1"}
        client = boto3.client("s3", aws_access_key_id="id", aws_secret_access_key="key", **where)
        client.create_bucket(Bucket="read", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        os.environ[f"AIRFLOW_CONN_{S3_CONNECTION.upper()}"] = json.dumps(
            {"conn_type": "aws", "login": "id", "password": "key", "extra": where}
        )
        yield "s3://read/fleet", S3_CONNECTION
    finally:
        server.stop()


@contextmanager
def folder() -> Iterator[tuple[str, None]]:
    """Yield a folder of this machine."""
    with tempfile.TemporaryDirectory(prefix="reader-beside-writers-") as path:
        yield Path(path).as_uri(), None


STORES = {"file": folder, "s3": bucket}


def main() -> None:
    """Do it in each store, and say what was seen.

    :raises SystemExit: with 1 when the reader saw what it may never see
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stores", nargs="*", choices=[*STORES, []], help="file, s3; without any, both")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randint(1, 10**6))
    arguments = parser.parse_args()
    for name in arguments.stores or STORES:
        with STORES[name]() as (output_path, conn_id):
            try:
                seen = kill_writers_beside_a_reader(
                    output_path, conn_id, runs=arguments.runs, seed=arguments.seed
                )
            except BrokenPromiseError as error:
                raise SystemExit(f"{name}, seed {arguments.seed}: {error}") from error
        what = ", ".join(f"{count} {event}" for event, count in sorted(seen.items()))
        sys.stdout.write(f"{name}, seed {arguments.seed}: {what}; 0 wrong\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

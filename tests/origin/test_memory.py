"""A server that wants to fill the memory is not read further than the documented limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.iris.conftest import api_user_of

if TYPE_CHECKING:
    from airflow_provider_trackunit.emulator import IrisEmulator

ROOT = Path(__file__).parents[2]
# The limit of a body is 256 MiB; the rest is what the libraries hold of the next pieces of it.
MOST_MIB = 256 + 128
MOST_SECONDS = 30.0


def tricked(iris: IrisEmulator, trick: str, *, loop: bool) -> dict[str, Any]:
    iris.hostile(trick)
    child = subprocess.run(
        [sys.executable, "-m", "tests.origin.memory"],
        input=json.dumps({"credentials": asdict(api_user_of(iris)), "url": iris.url, "loop": loop}),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answer: dict[str, Any] = json.loads(child.stdout)
    return answer


@pytest.mark.parametrize("loop", [False, True], ids=["threads", "event loop"])
@pytest.mark.parametrize("trick", ["terabyte", "endless_body", "gzip_bomb"])
def test_a_body_without_an_end_is_read_up_to_the_limit(
    iris_emulator: IrisEmulator, trick: str, loop: bool
) -> None:
    came = tricked(iris_emulator, trick, loop=loop)
    # Some releases of aiohttp refuse what unpacks to so much by themselves.
    assert "larger than 256 MiB" in came["said"] or (trick == "gzip_bomb" and "broke off" in came["said"])
    assert came["grown_mib"] < MOST_MIB
    assert came["seconds"] < MOST_SECONDS


@pytest.mark.parametrize("loop", [False, True], ids=["threads", "event loop"])
def test_a_token_of_a_hundred_megabytes_is_read_up_to_one(iris_emulator: IrisEmulator, loop: bool) -> None:
    came = tricked(iris_emulator, "huge_token", loop=loop)
    assert "larger than 1 MiB" in came["said"]
    assert came["grown_mib"] < 32
    assert came["seconds"] < MOST_SECONDS

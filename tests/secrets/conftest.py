"""An emulator whose account has unmistakable secrets, and everything that is said while a test runs."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackunit.emulator import IrisEmulator
from tests.secrets.needles import CLIENT_SECRET, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Said = Callable[[], str]

_LIBRARIES = (
    "",
    "urllib3",
    "requests",
    "aiohttp",
    "asyncio",
    "airflow",
    "airflow_provider_trackunit",
)


@pytest.fixture(scope="package")
def _needle_emulator() -> Iterator[IrisEmulator]:
    with IrisEmulator.start() as iris:
        iris.use_credentials(
            client_secret=CLIENT_SECRET, api_key_client_secret=CLIENT_SECRET, password=PASSWORD
        )
        yield iris


@pytest.fixture
def iris(_needle_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch) -> IrisEmulator:
    """Return the emulator; the connection ``trackunit_default`` leads to it, as an API user."""
    _needle_emulator.reset()
    monkeypatch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", _needle_emulator.connection_json())
    return _needle_emulator


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Iterator[Said]:
    """Return what tells all that was logged, at DEBUG and by anybody, or printed; nothing of it is masked."""
    heard = io.StringIO()
    ear = logging.StreamHandler(heard)
    ear.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(ear)

    def all_of_it() -> str:
        out, err = capfd.readouterr()
        return heard.getvalue() + out + err

    try:
        yield all_of_it
    finally:
        logging.getLogger().removeHandler(ear)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

"""Fixtures for tests against a local IRIS; pytest finds them once this package is installed.

``iris_emulator`` is an emulator, reset before each test; ``iris_connection`` is the same one with
``AIRFLOW_CONN_TRACKUNIT_DEFAULT`` pointing at it.
"""

from collections.abc import Iterator

import pytest

from airflow_provider_trackunit.emulator.handle import CONNECTION_ENV, IrisEmulator


def pytest_configure() -> None:
    """Let clients follow when the time of an emulator is moved: what they hold back they count on a clock of their own."""
    IrisEmulator.when_time_moves.append(_forget_limits)


def _forget_limits() -> None:
    # Not before: every pytest of an environment loads this plugin, and a coverage begins after that.
    from airflow_provider_trackunit.iris.http.pacing import forget_limits

    forget_limits()


@pytest.fixture(scope="session")
def _iris_emulator_server() -> Iterator[IrisEmulator]:
    with IrisEmulator.start() as emulator:
        yield emulator


@pytest.fixture
def iris_emulator(_iris_emulator_server: IrisEmulator) -> IrisEmulator:
    """Return an emulator with 250 assets in its initial state."""
    _iris_emulator_server.reset()
    return _iris_emulator_server


@pytest.fixture
def iris_connection(iris_emulator: IrisEmulator, monkeypatch: pytest.MonkeyPatch) -> IrisEmulator:
    """Return the emulator; the connection ``trackunit_default`` leads to it, as an API user."""
    monkeypatch.setenv(CONNECTION_ENV, iris_emulator.connection_json())
    return iris_emulator

"""What a task says, wherever this Airflow sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackunit._compat import AIRFLOW_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Return what gives all that was logged since it was last asked: Airflow 3.1 and newer print it, older ones log it."""
    caplog.set_level("INFO")

    def everything() -> str:
        logged, printed = caplog.text, "".join(capsys.readouterr())
        caplog.clear()
        return printed if AIRFLOW_VERSION >= (3, 1) else logged

    return everything

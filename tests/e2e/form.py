"""``make e2e``: the connection form and a run of a real Airflow in a real browser, against the emulator.

What a person sees is checked by its labels, links and messages, and the form is photographed for the docs. Everything listens on the
loopback interface, and nothing is left running.
"""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow import __version__ as airflow_version
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import sync_playwright

from airflow_provider_trackunit.connection import FORM_FIELDS, hidden_fields
from airflow_provider_trackunit.emulator import IrisEmulator
from dev.airflow_home import ROOT, AirflowCommandError, AirflowHome, interrupt_once
from dev.parts import PartFailedError, Parts
from dev.ui import started
from tests.e2e.form_pages import ConnectionPages, FlaskPages, ReactPages
from tests.e2e.programs import MissingProgramError, need
from tests.e2e.run_pages import FlaskRunPages, ReactRunPages
from tests.e2e.runs import DAGS, seen
from tests.e2e.stored import stored_connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

IMAGES = ROOT / "docs" / "images"
PAGE = ROOT / "docs" / "connection.md"
SERIES = ".".join(airflow_version.split(".")[:2])
WRONG_SECRET = "not-the-secret-of-this-client"
MAX_IMAGE_BYTES = 200_000
PATIENCE_MS = 30_000
# Chromium as root needs the first; without the others it looks for its maker's hosts.
BROWSER_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
OWN_FIELDS = [field.label for field in FORM_FIELDS.values()]
STANDARD_FIELDS = ["Description", "Base URL", "API username", "API password"]
# What every connection has, whatever its type.
AIRFLOWS_OWN = {"connection id", "connection type", "extra"}
# Airflow 3.0 to 3.2 show what is typed into a field of the type's own, and mask it once it is saved.
TYPED_UNSEEN = ["API password", *([] if SERIES in {"3.0", "3.1", "3.2"} else ["Client secret"])]
PORT_SHOWN = "port" not in hidden_fields()
TESTABLE = {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}


class FormError(Exception):
    """A page is not as it should be; the text says what is wrong."""


def main() -> None:
    """Run the whole story on the Airflow of this environment.

    :raises SystemExit: with 1 when something is not as it should be
    """
    interrupt_once()
    home = AirflowHome(ROOT / ".airflow" / f"e2e-form-{airflow_version}", DAGS)
    try:
        chromium = need("chromium", "chromium")
        shutil.rmtree(home.path, ignore_errors=True)
        _say(f"Airflow {airflow_version}: {home.path.relative_to(ROOT)}")
        home.migrate()
        with (
            IrisEmulator.start(assets=250, process=True) as iris,
            Parts(home.path) as parts,
            _new_page(chromium) as page,
        ):
            access = started(home, parts)
            pages = (FlaskPages if SERIES.startswith("2.") else ReactPages)(page, access.url)
            try:
                pages.log_in(access.user, access.password)
                _story(pages, iris, home)
                run_pages = (FlaskRunPages if SERIES.startswith("2.") else ReactRunPages)(page, access.url)
                seen(run_pages, home, parts, _expect)
            except (FormError, PlaywrightError):
                page.screenshot(path=home.path / "failed.png")
                raise
    except (AirflowCommandError, PartFailedError, MissingProgramError, FormError, PlaywrightError) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("Stopped.") from None
    _say(f"Airflow {airflow_version}: the connection form, the links of a task and its log are good.")


def _story(pages: ConnectionPages, iris: IrisEmulator, home: AirflowHome) -> None:
    connection: dict[str, Any] = json.loads(iris.connection_json())
    extra = connection["extra"]
    typed = {"API password": connection["password"], "Client secret": extra["client_secret"]}

    pages.open_new()
    _check_fields(pages)
    _photograph(pages, "new")
    pages.fill({pages.id_label: "trackunit_default"} | _standard_values(connection))
    pages.fill(
        {"Client ID": extra["client_id"], "Client secret": WRONG_SECRET, "Auth URL": extra["auth_url"]}
    )
    pages.show("Client secret")
    _photograph(pages, "own-fields")
    pages.save()

    pages.open_stored()
    refused = pages.test(typed | {"Client secret": WRONG_SECRET})
    _photograph(pages, "test-wrong-secret")
    _expect(
        "invalid_client" in refused and "client secret" in refused.lower(), f"a wrong secret: {refused!r}"
    )
    _expect(WRONG_SECRET not in refused, "the message of the test shows the secret")

    pages.open_stored()
    pages.fill({"Client secret": extra["client_secret"]})
    pages.save()
    pages.open_stored()
    granted = pages.test(typed)
    _photograph(pages, "test-good")
    _expect("scope 'api', lifetime 3600 s" in granted, f"a right secret: {granted!r}")

    pages.open_stored()
    pages.show("Client secret")
    shown = pages.page.content() + "".join(field.input_value() for field in pages.fields().values())
    for secret in (extra["client_secret"], connection["password"], WRONG_SECRET):
        _expect(secret not in shown, "a secret can be read in the form of a stored connection")
    _expect(extra["client_id"] in shown, "the form of a stored connection lost its client ID")
    _photograph(pages, "stored")

    # Where nothing is changed, Airflow 3.1 has nothing to save.
    pages.fill({"Description": "the emulator"})
    pages.save()
    _expect_stored_works(home)

    for name, secrets in stored_connections(home, iris):
        pages.open_stored()
        said = pages.test(secrets)
        _expect("Token granted" in said, f"{name}: {said!r}")
        _say(f"  {name}: {said!r}")


def _standard_values(connection: dict[str, Any]) -> dict[str, str]:
    values = {
        "Base URL": connection["host"],
        "API username": connection["login"],
        "API password": connection["password"],
    }
    # The emulator's address names its port; beside it, any number tells Airflow that there is one.
    return values | ({"Port": "443"} if PORT_SHOWN else {})


def _check_fields(pages: ConnectionPages) -> None:
    labels = pages.labels()
    standard = [*STANDARD_FIELDS, *(["Port"] if PORT_SHOWN else [])]
    wanted = [*standard, *OWN_FIELDS]
    seen = [label for label in labels if label in wanted]
    _expect(seen == wanted, f"the fields are {labels}, not {wanted}")
    rest = {label.lower() for label in labels} - {label.lower() for label in wanted} - AIRFLOWS_OWN
    _expect(not rest, f"fields that nobody needs: {sorted(rest)}")
    masked = [label for label in wanted if pages.kind(label) == "password"]
    _expect(masked == TYPED_UNSEEN, f"typed without being seen: {masked}")


def _expect_stored_works(home: AirflowHome) -> None:
    """Check that saving a form in which no secret is shown has not stored that nothing."""
    output = home.run("connections", "test", "trackunit_default", timeout_s=120, **TESTABLE)
    _expect(
        "Connection success" in output, f"after its description was changed, the connection fails: {output}"
    )


def _expect(condition: object, otherwise: str) -> None:
    if not condition:
        raise FormError(f"Airflow {airflow_version}: {otherwise}")


def _photograph(pages: ConnectionPages, what: str) -> None:
    """Write what is on the page into the docs, where they show this Airflow."""
    image = IMAGES / f"airflow-{SERIES}-connection-{what}.png"
    if f"images/{image.name}" not in PAGE.read_text():
        return
    pages.settle()
    pages.page.screenshot(path=image, animations="disabled")
    _expect(image.stat().st_size <= MAX_IMAGE_BYTES, f"{image.name} has {image.stat().st_size} bytes")
    _say(f"  {image.relative_to(ROOT)}")


@contextmanager
def _new_page(chromium: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER_FLAGS.split())
        try:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE_MS)
            yield page
        finally:
            browser.close()


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()

"""The connection form as a person meets it: fields by their labels, buttons, messages. One class for each interface."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, ViewportSize

TYPE_NAME: Final = "Trackunit IRIS"


class ConnectionPages(ABC):
    """The pages of one Airflow on which a connection is made, tested and changed.

    :param page: the browser's page
    :param url: where Airflow is
    """

    #: How Airflow labels the name of the connection.
    id_label: str
    #: The size of a window in which the whole form can be seen.
    window: ViewportSize

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.set_viewport_size(self.window)
        self.url = url

    @abstractmethod
    def log_in(self, user: str, password: str) -> None:
        """Log in with the form for it."""

    @abstractmethod
    def open_new(self) -> None:
        """Open the form for a new connection and choose its type by name."""

    @abstractmethod
    def open_stored(self) -> None:
        """Open the form of the one connection that there is."""

    @abstractmethod
    def labels(self) -> list[str]:
        """Return the labels of all fields that can be seen, from top to bottom."""

    @abstractmethod
    def fields(self) -> dict[str, Locator]:
        """Return the inputs of the fields, by label."""

    @abstractmethod
    def show(self, label: str) -> None:
        """Bring a field into sight."""

    @abstractmethod
    def save(self) -> None:
        """Press the button and wait until the connection is stored."""

    @abstractmethod
    def test(self, typed: dict[str, str]) -> str:
        """Press the button "Test" and return the message that it brings.

        :param typed: the secrets by label, for a form that wants them again after saving
        """

    def fill(self, values: dict[str, str]) -> None:
        """Write into fields, by label."""
        for label, value in values.items():
            self.show(label)
            self.fields()[label].fill(value)

    def settle(self) -> None:
        """Wait until nothing is on its way any more, and look at the top."""
        self.page.evaluate("scrollTo(0, 0)")
        self.page.wait_for_load_state("networkidle")

    def kind(self, label: str) -> str:
        """Return the type of a field's input: ``text``, ``password`` and so on."""
        return self.fields()[label].get_attribute("type") or "text"

    def _log_in_at(self, path: str, user: str, password: str, done: str) -> None:
        self.page.goto(self.url + path)
        self.page.fill("input[name=username]", user)
        self.page.fill("input[name=password]", password)
        with self.page.expect_response(re.compile(done)):
            self.page.keyboard.press("Enter")
        self.page.wait_for_load_state("networkidle")


class FlaskPages(ConnectionPages):
    """Airflow 2: one long page with all fields, "Test" beside "Save"."""

    id_label = "Connection Id"
    window: ViewportSize = {"width": 1280, "height": 1850}  # noqa: RUF012 (only read)

    def log_in(self, user: str, password: str) -> None:
        """Log in with the form for it."""
        self._log_in_at("/login/", user, password, "/home")

    def open_new(self) -> None:
        """Open the form for a new connection and choose its type by name."""
        self.page.goto(f"{self.url}/connection/list/")  # where saving then leads back to
        self.page.goto(f"{self.url}/connection/add")
        self.page.locator(".select2-selection").click()
        self.page.locator(".select2-results__option", has_text=TYPE_NAME).click()

    def open_stored(self) -> None:
        """Open the form of the one connection that there is."""
        self.page.goto(f"{self.url}/connection/list/")
        self.page.locator("a[href*='/connection/edit/']").first.click()
        self.page.locator("#test-connection").wait_for()

    def labels(self) -> list[str]:
        """Return the labels of all fields that can be seen, from top to bottom."""
        return [
            label.rstrip(" *")
            for label in self.page.locator("form#model_form label:visible").all_inner_texts()
        ]

    def fields(self) -> dict[str, Locator]:
        """Return the inputs of the fields, by label."""
        rows = self.page.locator("form#model_form tr:visible").all()
        return {
            row.locator("label").first.inner_text().rstrip(" *"): row.locator("input, textarea").first
            for row in rows
            if row.locator("label").count() and row.locator("input, textarea").count()
        }

    def show(self, label: str) -> None:
        """Bring a field into sight: all are."""

    def save(self) -> None:
        """Press the button and wait until the connection is stored."""
        self.page.locator("form#model_form button[type=submit]").click()
        self.page.wait_for_url("**/connection/list/**")

    def test(self, typed: dict[str, str]) -> str:
        """Press the button "Test" and return the message that it brings.

        :param typed: the secrets by label: the test takes what is in the form, and no form shows them
        """
        self.fill(typed)
        with self.page.expect_response(re.compile("/connections/test")):
            self.page.locator("#test-connection").click()
        alert = self.page.locator(".alert:visible")
        alert.wait_for()
        return str(alert.inner_text()).lstrip("\N{MULTIPLICATION SIGN}\n ")


class ReactPages(ConnectionPages):
    """Airflow 3: a dialog with the standard fields and the type's own in two parts; "Test" is in the list."""

    id_label = "Connection ID"
    window: ViewportSize = {"width": 1100, "height": 1540}  # noqa: RUF012 (only read)

    # Of a list with one line in it, and a message.
    _LOW = 560
    _TOAST = "[data-scope=toast][data-part=root]"

    def log_in(self, user: str, password: str) -> None:
        """Log in with the form for it."""
        self._log_in_at("/connections", user, password, "/api/v2/connections")

    def open_new(self) -> None:
        """Open the form for a new connection and choose its type by name."""
        self.page.set_viewport_size(self.window)
        self.page.goto(f"{self.url}/connections")
        self.page.get_by_role("button", name="Add Connection").first.click()
        self._dialog.get_by_role("combobox").fill(TYPE_NAME)
        self.page.keyboard.press("Enter")
        self._field("Base URL").wait_for()

    def open_stored(self) -> None:
        """Open the form of the one connection that there is."""
        self.page.set_viewport_size(self.window)
        self.page.goto(f"{self.url}/connections")
        self.page.get_by_role("button", name="Edit Connection").click()
        self._field("Base URL").wait_for()

    def labels(self) -> list[str]:
        """Return the labels of all fields, from top to bottom, both parts."""
        return [text.rstrip(" *") for text in self._dialog.locator("label").all_text_contents()]

    def fields(self) -> dict[str, Locator]:
        """Return the inputs of the fields, by label."""
        return {label: self._field(label).locator("input, textarea").first for label in self.labels()}

    def settle(self) -> None:
        """Wait until nothing is on its way any more, and make the window as high as what is in it."""
        dialog = self._dialog.bounding_box() if self._dialog.count() else None
        height = self._LOW if dialog is None else round(dialog["y"] + dialog["height"] + dialog["y"])
        self.page.set_viewport_size({**self.window, "height": height})
        super().settle()

    def show(self, label: str) -> None:
        """Bring a field into sight, by opening the part that it is in."""
        part = self._field(label).locator("xpath=ancestor::*[@data-part='item'][1]")
        if part.count() and part.get_attribute("data-state") == "closed":
            part.locator("[data-part=item-trigger]").click()
        self._field(label).locator("input, textarea").first.wait_for()

    def save(self) -> None:
        """Press the button and wait until the connection is stored."""
        self._dialog.get_by_role("button", name="Save").click()
        self._dialog.wait_for(state="detached")

    def test(self, typed: dict[str, str]) -> str:
        """Press the button "Test" in the list and return the message that it brings.

        :param typed: not needed: what is stored is tested
        """
        self.page.goto(f"{self.url}/connections")
        with self.page.expect_response(re.compile("/connections/test")) as response:
            self.page.get_by_role("button", name="Test Connection").click()
        if not response.value.ok:
            return f"HTTP {response.value.status}: {response.value.text()}"
        toast = self.page.locator(self._TOAST).first
        toast.wait_for()
        return str(toast.inner_text())

    @property
    def _dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def _field(self, label: str) -> Locator:
        exactly = re.compile(rf"^\s*{re.escape(label)}[\s*]*$")
        return self._dialog.locator("[data-scope=field][data-part=root]").filter(
            has=self.page.locator("label", has_text=exactly)
        )

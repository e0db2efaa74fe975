"""A task instance as a person meets it: its links and its log. One class for each interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from airflow_provider_trackunit.links import DeveloperHubLink, ResultFolderLink

if TYPE_CHECKING:
    from playwright.sync_api import Page


class RunPages(ABC):
    """The pages of one task instance after another.

    :param page: the browser's page, of somebody who has logged in
    :param url: where Airflow is
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        page.set_viewport_size({"width": 1440, "height": 1000})

    @abstractmethod
    def _open(self, dag_id: str, run_id: str, task_id: str, tab: str) -> None: ...

    def links(self, dag_id: str, run_id: str, task_id: str) -> dict[str, str]:
        """Return where the links beside a task lead, by what they say, once they are there; of those that can be pressed."""
        self._open(dag_id, run_id, task_id, "details")
        self.page.get_by_text(DeveloperHubLink.name).wait_for()
        found = {
            name: self.page.locator("a", has_text=name)
            for name in (DeveloperHubLink.name, ResultFolderLink.name)
        }
        urls = {name: link.get_attribute("href") for name, link in found.items() if link.count()}
        return {name: url for name, url in urls.items() if url}

    def open_log(self, dag_id: str, run_id: str, task_id: str, said: str) -> None:
        """Open the log of a task, and wait until it can be seen to say something."""
        self._open(dag_id, run_id, task_id, "logs")
        self.page.get_by_text(said).first.wait_for()


class FlaskRunPages(RunPages):
    """Airflow 2: the grid of a DAG, with a tab for each of the two."""

    def _open(self, dag_id: str, run_id: str, task_id: str, tab: str) -> None:
        self.page.goto(f"{self.url}/dags/{dag_id}/grid?dag_run_id={run_id}&task_id={task_id}&tab={tab}")


class ReactRunPages(RunPages):
    """Airflow 3: a page for each of the two."""

    def _open(self, dag_id: str, run_id: str, task_id: str, tab: str) -> None:
        page = f"{self.url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}"
        self.page.goto(page if tab == "logs" else f"{page}/{tab}")

"""Programs of the system that the runs need: found, or installed where we may."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


class MissingProgramError(Exception):
    """A program is not there and cannot be installed; the text says how to get it."""


def need(program: str, package: str, places: str = "") -> str:
    """Return the path of a program, after installing its Debian package if need be.

    :param places: a pattern of folders to look in, beside the ``PATH``
    :raises MissingProgramError: when it is missing, and we are not root on a Debian
    """
    path = _find(program, places)
    if path is None:
        _install(package)
        path = _find(program, places)
    if path is None:
        raise MissingProgramError(f"The Debian package {package} brings no {program}")
    return path


def _find(program: str, places: str) -> str | None:
    found = sorted(map(str, Path("/").glob(places.lstrip("/")))) if places else []
    folders = [*reversed(found), os.environ.get("PATH", os.defpath)]
    return shutil.which(program, path=os.pathsep.join(folders))


def _install(package: str) -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise MissingProgramError(
            f"Install {package} first, for example with: sudo apt-get install {package}"
        )
    print(f"Installing {package} ...", flush=True)
    # In this runlevel a package does not start its own server.
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", package]):
        result = subprocess.run(
            [apt, "--quiet", *command], env=quiet, capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise MissingProgramError(f"apt-get {' '.join(command)} failed:\n{result.stdout}{result.stderr}")

"""PostgreSQL and Redis, started for one run: on the loopback interface, on free ports, data in a scratch folder."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.parts import LOOPBACK, free_port
from tests.e2e.programs import need

if TYPE_CHECKING:
    from pathlib import Path

    from dev.parts import Parts

READY_WITHIN_S = 60
_USER = "airflow"


@dataclass(frozen=True)
class Services:
    """Where a database and a broker are.

    :param database: ``user:password@host:port/database`` of PostgreSQL
    :param broker: the URL of Redis
    """

    database: str
    broker: str


def start_services(folder: Path, parts: Parts) -> Services:
    """Start both, with new data, and wait until they answer."""
    password = secrets.token_urlsafe(16)
    postgres_port, redis_port = free_port(), free_port()
    start_postgres(folder / "postgres", postgres_port, password, parts)
    _start_redis(redis_port, password, parts)
    parts.wait_until(lambda: _listens(postgres_port), "PostgreSQL", READY_WITHIN_S)
    parts.wait_until(lambda: _listens(redis_port), "Redis", READY_WITHIN_S)
    return Services(
        f"{_USER}:{password}@{LOOPBACK}:{postgres_port}/postgres",
        f"redis://:{password}@{LOOPBACK}:{redis_port}/0",
    )


def start_postgres(folder: Path, port: int, password: str, parts: Parts) -> None:
    """Start a PostgreSQL with new data; its account and its superuser are ``airflow``."""
    places = "/usr/lib/postgresql/*/bin"
    initdb = need("initdb", "postgresql", places)
    postgres = need("postgres", "postgresql", places)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    secret = folder.with_suffix(".password")
    secret.write_text(password)
    user = _unprivileged(folder, secret)
    # PostgreSQL does not run as root.
    account = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    command = [initdb, "--pgdata", str(folder), "--username", _USER, "--pwfile", str(secret)]
    command += ["--auth", "scram-sha-256", "--no-sync", "--locale", "C.UTF-8"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **account)  # type: ignore[call-overload]
    secret.unlink()
    settings = {
        "listen_addresses": LOOPBACK,
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "fsync": "off",  # the data are thrown away
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    # SIGQUIT ends it at once: what it would write at the end is thrown away.
    parts.start(
        "postgres", [postgres, "-D", str(folder), *options], os.environ, stop_signal=signal.SIGQUIT, user=user
    )


def _unprivileged(*paths: Path) -> str | None:
    """Hand files to the account of PostgreSQL and return its name; None where we are not root ourselves."""
    if os.geteuid() != 0:
        return None
    account = pwd.getpwnam("postgres")
    for path in paths:
        os.chown(path, account.pw_uid, account.pw_gid)
    return account.pw_name


def _start_redis(port: int, password: str, parts: Parts) -> None:
    settings = {"bind": LOOPBACK, "port": port, "requirepass": password, "save": "", "appendonly": "no"}
    options = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    parts.start("redis", [need("redis-server", "redis-server"), *options], os.environ)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((LOOPBACK, port)) == 0

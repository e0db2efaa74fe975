"""What goes wrong on the way: every kind that the emulator knows, as far as a retry can mend it.

Left out are ``html``, ``garbage`` and ``redirect``: they end a task at once by contract (a wrong path, a proxy that
changes answers), and have tests of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_trackunit.emulator import IrisEmulator

# Each with its share among all faults. Seconds are simulated ones.
_KINDS: tuple[tuple[float, dict[str, Any]], ...] = (
    (2.0, {"kind": "status", "status": 500}),
    (1.0, {"kind": "status", "status": 502}),
    (3.0, {"kind": "status", "status": 503}),
    (1.0, {"kind": "status", "status": 503, "retry_after": "30"}),
    (1.0, {"kind": "status", "status": 504}),
    (2.0, {"kind": "rate_limit"}),
    (2.0, {"kind": "rate_limit", "retry_after": "20"}),
    (1.0, {"kind": "rate_limit", "retry_after": "600"}),
    (2.0, {"kind": "reset_before"}),
    (2.0, {"kind": "reset_after"}),
    (2.0, {"kind": "truncated"}),
    (0.5, {"kind": "huge_length"}),
    # Small answers come late, a page of 1,000 does not come in time.
    (1.0, {"kind": "slow", "chunk_bytes": 256}),
    (1.0, {"kind": "delay", "delay_s": 15}),
    (0.5, {"kind": "delay", "delay_s": 90}),
    # The token endpoint has no token that could be revoked.
    (1.0, {"kind": "revoke", "path": "re:^/(api|public)/"}),
)
KINDS = {str(fault["kind"]) for _, fault in _KINDS}


def order(iris: IrisEmulator, share: float, factor: float) -> None:
    """Let a share of all requests go wrong from now on."""
    whole = sum(weight for weight, _ in _KINDS)
    for weight, fault in _KINDS:
        options = {"path": "", **fault}
        options["delay_s"] = options.get("delay_s", 0.0) / factor
        iris.fault(times=None, probability=share * weight / whole, **options)

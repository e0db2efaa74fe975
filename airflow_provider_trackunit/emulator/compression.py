"""Gzip, where the vendor offers it to those who ask (developer hub: time series usage)."""

import gzip

from starlette.responses import Response

from airflow_provider_trackunit.emulator.routing import Call

FAST = 1


def compressed(call: Call, response: Response) -> Response:
    """Return the answer compressed, if the client accepts it and the switch covers this path."""
    covered = call.world.settings.gzip
    if covered == "none" or (covered == "metrics" and not call.path.endswith("/metrics")):
        return response
    if "gzip" not in call.headers.get("accept-encoding", "") or not response.body:
        return response
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    body = gzip.compress(bytes(response.body), FAST, mtime=0)
    return Response(body, response.status_code, headers | {"content-encoding": "gzip"})

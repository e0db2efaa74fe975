"""What a caller asks for, checked before anything is sent: the origin, the path, the query, the headers, the body.

Pure. Here belongs what is true of any request; no endpoint is known, nothing pages, and no HTTP request is built.
"""

from airflow_provider_trackunit.iris.calls.call import Call, make_call, meant_by, without_query
from airflow_provider_trackunit.iris.calls.origins import BASE_URL, is_plain, read_base_url, read_origin
from airflow_provider_trackunit.iris.calls.values import encode_json, is_encodable, utc_text

__all__ = [
    "BASE_URL",
    "Call",
    "encode_json",
    "is_encodable",
    "is_plain",
    "make_call",
    "meant_by",
    "read_base_url",
    "read_origin",
    "utc_text",
    "without_query",
]

"""
# A GraphQL query, page by page

Reads every asset with its status and where it stands: members of several APIs in one query. The result is the list
of all nodes.

**What it needs**: the connection `trackunit_default`, and an IrisX subscription at Trackunit for GraphQL.

**What to change**: the query. Keep `$first`, `$after` and `pageInfo { hasNextPage endCursor }`: with them the task
walks all pages. A longer query can live in a file beside the DAG: `json={"query": "assets.graphql", …}`.

**The limit to know**: IRIS counts the complexity of a query, 50,000 points for one query and a budget for ten
minutes. Members below a list count once for each record, so a deep query needs a smaller `first`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import dag
except ImportError:  # Airflow 2
    from airflow.decorators import dag  # type: ignore[no-redef]

from airflow_provider_trackunit.operators import IrisApiOperator

ASSETS = """
query Assets($first: Int, $after: String) {
  assets(first: $first, after: $after) {
    edges {
      node {
        assetId
        name
        brand
        model
        lastSeen
        status { activity criticality }
        locations { latest { geometry { coordinates } } }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""


@dag(
    schedule="30 5 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
    doc_md=__doc__,
    tags=["trackunit", "example"],
)
def iris_graphql() -> None:
    IrisApiOperator(
        task_id="assets",
        # The slash at the end belongs to the path.
        endpoint="/api/graphql/",
        method="POST",
        json={"query": ASSETS, "variables": {"first": 100}},
    )


iris_graphql()

"""What every task of ours has around its requests: their arguments, the wait for a limit, what OpenLineage is told.

The Airflow modules beside this room are what a DAG imports; these serve them, and know no HTTP either.
"""

"""What every task of ours has around its requests: their arguments, the wait for a limit, the store, what is counted.

The Airflow modules beside this room are what a DAG imports; these serve them, and know no HTTP either.
"""

"""What the records of each endpoint hold, as columns: one module for each family of the API, every row with its source.

Rows of data and nothing else come in; what reads records by them is ``iris.export.typed``.
"""

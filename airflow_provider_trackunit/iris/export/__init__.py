"""One result: parts, checkpoint, manifest. Knows no file system: a store is whatever writes a file whole.

``export`` is the loop, ``state`` the value that it moves forward, ``folder`` the right of one try to write in one
place (and what can go wrong there), ``parts`` the bytes of a part, ``manifest`` and ``checkpoint`` what is left beside
them, ``refusals`` what it means that an item is refused. ``parquet`` is the other form of a part, of the columns in
``typed``. The room ``incremental`` reads on from where the last run ended.
"""

"""One result: parts, checkpoint, manifest. Knows no file system: a store is whatever writes a file whole.

``export`` is the loop, ``gathering`` what comes of every answer, ``state`` the value that is moved forward,
``refusals`` what it means that an item is refused, ``request`` what was asked for and ``manifest`` what came of it,
``progress`` what the log says. The room ``folder`` is the right of one try to write in one place, and what can go wrong
there; ``formats`` the bytes of a part; ``typed`` the columns of those that have any; ``incremental`` reads on from where
the last run ended.
"""

"""What an answer means: it holds what was asked for, or it is one of the errors.

``judging`` goes by the status and the content type, ``in_band`` by errors that come with status 200, and ``reading``
takes a sentence and a number of seconds from what a server says of itself. Pure; a new error code belongs here.
"""

"""Reading on from where the last run ended: windows, cursors, and one run at a time.

What belongs here is how far a request has been read and what the next run asks for; how it is fetched and stored is
not known here. May use: everything of ``export`` but ``export`` itself, which knows nothing of this room.
"""

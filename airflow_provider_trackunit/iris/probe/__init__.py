"""One look at an account: what is asked, what is noted of each answer, and where it differs from the catalogue.

What belongs here asks each endpoint once, reads only, and keeps no value of any record. It may use the client; nothing uses it
but the command.
"""

"""The fleet: which machines exist, what they are called, what they do, and what they report of it.

Everything is a pure function of seed, number and time; nothing here knows HTTP.
"""

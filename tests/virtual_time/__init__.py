"""Threads of one client and servers that count, in virtual time: how rates are kept, and how others are learned."""

"""When a call is refused: how rates are counted, and which rate applies to which call.

A limit takes a call and returns None, or the emulated seconds until it would be let through. Nothing here sleeps.
"""

"""What the emulator answers: one module or room for each API of the vendor, written from its public pages.

A handler takes a :class:`~..serving.routing.Call` and returns the answer; its route names the scope and the limit.
"""

"""What a part is made of: the draft that gathers records, and a module for each file format.

A format encodes lines into blocks and joins blocks into a file; it has no state and knows no store. What a column of a
typed format takes is the room ``typed``.
"""

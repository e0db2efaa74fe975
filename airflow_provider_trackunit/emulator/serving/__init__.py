"""What every answer is made with: routes, tokens, shapes, pages, and the log of what was asked.

Nothing here knows a single API of the vendor.
"""

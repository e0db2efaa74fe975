"""How an answer is spoilt: by rules that a test queues, on the wire, or by a server that means harm.

``rules`` says which requests, how often and in which way, ``breakage`` what goes out instead, ``hostile`` is every trick.
"""

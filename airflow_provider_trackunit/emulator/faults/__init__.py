"""How an answer is spoilt: by rules that a test queues, on the wire, or by a server that means harm."""

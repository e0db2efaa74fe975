"""One call: finished to the byte, signed, sent in its turn, judged, repeated. Knows no pages.

``exchange`` is the way of one request through all of it, ``wire`` its bytes, ``retrying`` whether it is sent again,
``steps`` what a client is asked to do on the way, ``forks`` what a child process begins anew. The room ``tokens`` signs,
``pacing`` says when it leaves, ``transports`` sends it by one of two HTTP libraries, ``answers`` judges.
"""

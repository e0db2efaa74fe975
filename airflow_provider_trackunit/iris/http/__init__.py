"""One call: checked, finished to the byte, signed, sent in its turn, judged, repeated. Knows no pages."""

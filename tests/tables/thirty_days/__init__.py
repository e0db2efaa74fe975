"""Thirty days of a fleet that does what real fleets do, brought into two databases, and held against what was true."""

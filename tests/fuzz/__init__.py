"""Whatever comes from outside: only our own errors come out, nothing hangs, nothing is read twice."""

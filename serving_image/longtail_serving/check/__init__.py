"""The checker: recorded.py reads the rows, asking.py asks a server, load.py drives it, lateness.py
tells how late the checker itself was, scoring.py compares scores with
labels, verdict.py decides, candidate_check.py runs one after the other.
"""

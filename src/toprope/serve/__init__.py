"""`toprope serve`: the runs of a folder as pages for a browser, live while they climb. Read `app.py` first.

Everything that candidates, authors and strangers' runs say is hostile text here (`guard.py`, docs/dashboard.md).
"""

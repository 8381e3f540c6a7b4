"""Language-model researchers and other agents on a run (extra `[llm]`).

`workspace.py` is the walled room one works in, `tools.py` what it can do there, `findings.py` what researchers tell
each other, `briefing.py` what each is told. `team.py` runs them on Inspect, `server.py` serves the same tools to any
MCP client. All of it goes through a run's submissions (`run/submissions.py`): no figure comes from what a researcher
says.
"""

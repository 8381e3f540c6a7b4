"""Language-model researchers and other agents on a run (extra `[llm]`).

`workspace.py` confines the workspace of a researcher, `tools.py` holds its tools, `findings.py` what researchers tell
each other, `briefing.py` the prompts. `team.py` runs researchers on Inspect, `server.py` serves the same tools to any
MCP client. All work goes through a run's submissions (`run/submissions.py`): no figure comes from a researcher's own
words.
"""

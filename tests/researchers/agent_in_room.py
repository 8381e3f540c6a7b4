"""An Inspect agent of somebody's in toprope's sandbox: prints the log's status and the scorer's accuracy."""

import os
import sys

from inspect_ai import Task
from inspect_ai import eval as run_eval
from inspect_ai.agent import react
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, accuracy, scorer
from inspect_ai.tool import bash
from inspect_ai.util import sandbox

STEPS = [
    ModelOutput.for_tool_call("mockllm/model", "bash", {"command": "id -u > who; hostname >> who"}),
    ModelOutput.for_tool_call("mockllm/model", "submit", {"answer": "done"}),
]


async def raises(error, awaitable):
    try:
        await awaitable
    except error:
        return True
    return False


@scorer(metrics=[accuracy()])
def looked():
    async def score(state, target):
        who, where = (await sandbox().read_file("who")).split()
        inside = where == "workspace" and (os.geteuid() != 0 or who != "0")
        inside &= await raises(FileNotFoundError, sandbox().read_file("nothing"))
        inside &= await raises(PermissionError, sandbox().read_file("/etc/passwd"))
        inside &= await raises(TimeoutError, sandbox().exec(["sleep", "30"], timeout=1))
        inside &= (await sandbox().exec(["true", "x" * 200_000])).returncode == 126
        inside &= (await sandbox().exec(["true", "\0"])).returncode == 126
        return Score(value=inside)

    return score


for step in STEPS:
    step.usage = ModelUsage(input_tokens=5, output_tokens=5, total_tokens=10)
task = Task(dataset=[Sample(input="go")], solver=react(tools=[bash()]), scorer=looked(), sandbox="toprope")
model = get_model("mockllm/model", custom_outputs=STEPS)
(log,) = run_eval(task, model=model, display="none", log_dir=sys.argv[1])
print(log.status, log.results.scores[0].metrics["accuracy"].value if log.results else log.error)

"""`w2s/lora-v1`: the targets of a method train adapters (LoRA) in a real language model that reads the texts."""

from toprope_tasks.w2s.lora.task import make as make

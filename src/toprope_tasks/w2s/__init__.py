"""Weak-to-strong on a language model pretrained by this project: methods lift a strong student above its teacher.

Read in this order: corpus (the text), lm (the models), states (their hidden states), cells and draws (one evaluation
instance), student (the referee's student), method_task (what all tasks share), task (what the engine calls).
Real activations: bank/ (file, draws, hidden, task); mixed/, finetune/ and lora/ are further tasks. Figures:
docs/tasks/w2s.md.
"""

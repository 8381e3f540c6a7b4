"""Weak-to-strong on a language model pretrained by this project: methods lift a strong student above its teacher.

Read in this order: corpus (the text), lm (the models), states (their hidden states), cells and draws (one evaluation
instance), student (the referee's student), task (what the engine calls). Figures: docs/tasks/w2s.md.
"""

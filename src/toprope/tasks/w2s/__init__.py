"""Weak-to-strong on a tiny language model pretrained by this project: a method lifts a strong student above its weak teacher.

Read in this order: corpus (the text), lm (the models), bank (their hidden states), cells and draws (one evaluation
instance), student (the referee's student), task (what the engine calls). Source of every design figure: docs/tasks/w2s.md.
"""

"""toprope: climb alignment problems with very many cheap experiments, and keep the score worth believing."""

__version__ = "0.1.0"

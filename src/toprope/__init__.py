"""toprope: climb alignment problems with very many cheap experiments and a score that stays trustworthy."""

__version__ = "0.1.0"

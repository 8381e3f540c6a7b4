from toprope.testing.coin import make
def load(i): return make(i)
def known(i): pass

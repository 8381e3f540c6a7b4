"""Code that runs inside the sandbox: standard library and NumPy only, passed as text through a memfd.

The sandboxed interpreter cannot read toprope's files, so `process.py` sends these modules' sources and the boot line
registers them as a package named `inside`. Nothing here may import from toprope.
"""

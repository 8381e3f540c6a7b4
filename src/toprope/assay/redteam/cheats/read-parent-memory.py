"""Copies memory out of its parent by process_vm_readv.

Source: corpus row T13.
"""

import ctypes
import os

CLASS = "C2"
MEETS = "seccomp landlock identity"
EXPECT = "blocked+noted"
OFF = "seccomp landlock identity"


def cheat(plan, arrays):
    class Iov(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]

    libc, here = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(8)
    ours, theirs = (
        Iov(ctypes.addressof(here), 8),
        Iov(id(None), 8),
    )  # the parent forked us: its None lies where ours does
    if libc.process_vm_readv(os.getppid(), ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0) != 8:
        raise OSError(ctypes.get_errno(), "refused")
    return "its memory"

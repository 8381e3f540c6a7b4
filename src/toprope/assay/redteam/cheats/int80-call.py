"""Makes a 32-bit system call from machine code of its own.

Source: sandbox research: worked in the control.
"""

import ctypes
import mmap

CLASS = "C2"
MEETS = "seccomp"
EXPECT = "blocked+noted"
MACHINE = "x86_64"


def cheat(plan, arrays):
    code = mmap.mmap(-1, 4096, prot=7)
    code.write(bytes.fromhex("53b814000000cd805bc3"))  # push rbx; eax = getpid of the 32-bit table; int 0x80
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    if ctypes.CFUNCTYPE(ctypes.c_int)(address)() <= 0:
        raise OSError("refused")
    return "called"

# Holds a file open in one way, says "holds", and goes on until its standard input ends. See host-tricks.ts.
# Usage: holder.py KIND FILE OWN_DIRECTORY
import array
import ctypes
import os
import socket
import subprocess
import sys

kind, path, own = sys.argv[1:]
kept = []


def call(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def other_name():
    """Another name of the same file, outside of the pool."""
    name = os.path.join(own, "other-name")
    os.link(path, name)
    return name


undo = None
if kind == "process":
    kept.append(open(path, "rb"))
elif kind == "hard link":
    kept.append(open(other_name(), "rb"))
elif kind == "mapped":
    # Not the module mmap: it keeps a duplicate of the descriptor.
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    fd = os.open(other_name(), os.O_RDONLY)
    PROT_READ, MAP_SHARED = 1, 1
    if libc.mmap(None, 4096, PROT_READ, MAP_SHARED, fd, 0) in (None, ctypes.c_void_p(-1).value):
        sys.exit("cannot map the file")
    os.close(fd)
elif kind == "in flight":
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    fd = os.open(path, os.O_RDONLY)
    pair[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    os.close(fd)
    kept.extend(pair)
elif kind == "namespace":
    place = os.path.join(own, "place")
    open(place, "w").close()
    call("mount", "--bind", path, place)
    kept.append(open(place, "rb"))
elif kind == "overlay":
    for name in ("upper", "work", "merged"):
        os.mkdir(os.path.join(own, name))
    call("mount", "-t", "tmpfs", "none", os.path.join(own, "upper"))
    for name in ("u", "w"):
        os.mkdir(os.path.join(own, "upper", name))
    lower = os.path.dirname(path)
    options = f"lowerdir={lower},upperdir={own}/upper/u,workdir={own}/upper/w"
    call("mount", "-t", "overlay", "-o", options, "none", os.path.join(own, "merged"))
    kept.append(open(os.path.join(own, "merged", os.path.basename(path)), "rb"))
elif kind == "loop":
    device = call("losetup", "--find", "--show", "--read-only", other_name())
    undo = ("losetup", "--detach", device)
else:
    sys.exit(f"unknown kind '{kind}'")

print("holds", flush=True)
sys.stdin.read()
if undo is not None:
    call(*undo)

# Starts a command as systemd would in a hardened unit, as far as that can be done without systemd. See host-tricks.ts.
# Usage: unit-sandbox.py PLAN COMMAND...   (in a mount namespace of its own)
import ctypes
import json
import os
import subprocess
import sys

plan, command = json.loads(sys.argv[1]), sys.argv[2:]


def mount(*words):
    subprocess.run(("mount",) + words, check=True)


def read_only(path):
    if not os.path.isdir(path) or os.path.islink(path):
        return
    mount("--rbind", path, path)
    mount("-o", "remount,bind,ro", path)


def writable(path):
    if os.path.exists(path):
        mount("--bind", path, path)


def mount_points():
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        return [line.split()[4].encode().decode("unicode_escape") for line in lines]


def system_calls(words):
    """The names that a SystemCallFilter= allows; groups are as systemd knows them."""
    names = set()
    for word in words:
        if not word.startswith("@"):
            names.add(word)
            continue
        text = subprocess.run(("systemd-analyze", "syscall-filter", word), check=True, stdout=subprocess.PIPE, text=True)
        inner = [line.strip() for line in text.stdout.splitlines()[1:]]
        names |= system_calls([name for name in inner if name and not name.startswith("#")])
    return names


ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 1  # SCMP_ACT_ERRNO(EPERM)


def filter_calls(words):
    names = system_calls(words) | {"execve"}  # @default has it, as what starts the service
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(REFUSE)))
    for name in names:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            library.seccomp_rule_add(context, ctypes.c_uint32(ALLOW), number, 0)
    if library.seccomp_load(context) != 0:
        sys.exit("unit-sandbox: cannot load the filter")


if plan["protectSystem"] == "strict":
    # Every mount on its own: remounting one does not reach those below it. Kernel file systems stay as they are.
    kernel = ("/dev", "/proc", "/sys")
    for place in plan["writable"]:
        writable(place)
    kept = tuple(plan["writable"])
    for point in mount_points():
        is_kept = any(point == place or point.startswith(place + "/") for place in kernel + kept)
        if not is_kept and os.path.isdir(point):
            subprocess.run(("mount", "-o", "remount,bind,ro", point), check=False, stderr=subprocess.DEVNULL)
elif plan["protectSystem"] in ("full", "yes", "true"):
    for place in ("/usr", "/boot", "/efi") + (("/etc",) if plan["protectSystem"] == "full" else ()):
        read_only(place)
if plan["protectHome"] == "read-only":
    for place in ("/home", "/root", "/run/user"):
        read_only(place)
os.umask(int(plan["umask"], 8))
if plan["systemCalls"]:
    filter_calls(plan["systemCalls"])
os.execvp(command[0], command)

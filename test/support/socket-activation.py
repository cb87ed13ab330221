"""Starts a daemon whenever somebody connects to its socket, as systemd does: SOCKET FDNAME COUNTER COMMAND [ARGUMENT...].

Writes a line into COUNTER at each start. Ends the daemon and itself with SIGTERM.
"""

import os
import select
import signal
import socket
import sys

path, name, counter, command = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
child = 0


def stop(*_):
    if child:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
if os.path.exists(path):
    os.unlink(path)
listener.bind(path)
listener.listen()
while True:
    select.select([listener], [], [])
    with open(counter, "a") as starts:
        starts.write("started\n")
    child = os.fork()
    if child == 0:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES=name)
        os.execvp(command[0], command)
    _, status = os.waitpid(child, 0)
    child = 0
    if status != 0:
        sys.exit(1)

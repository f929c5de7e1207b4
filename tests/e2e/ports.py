"""Ports for the servers of a test."""

import random
import socket

_held_ports = []


def free_port():
    """A port that nobody listens on, and that no other test is given while this one runs. It lies outside
    of the range that the system takes for connections, so it is still free when the server comes up."""
    while True:
        port = random.randrange(10240, 32768)
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(f"\0postseal-test-port-{port}")  # goes with this process, and leaves nothing
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port))
        except OSError:
            held.close()
            continue
        _held_ports.append(held)
        return port

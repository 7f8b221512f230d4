"""What the servers in Python for the doctor have in common: a port, and an end."""

import os
import socket
import sys
import threading

import uvicorn


def bound():
    """A socket with a port of its own, and the origin that it makes."""
    own = socket.socket()
    own.bind(("127.0.0.1", 0))
    return own, f"http://127.0.0.1:{own.getsockname()[1]}"


def serve(app, own, url, headers=()):
    """Serves until the standard input ends."""
    own.listen()

    def wait():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
    config = uvicorn.Config(
        app, log_level="warning", date_header=not headers, headers=list(headers)
    )
    print(f"listening on {url}", flush=True)
    uvicorn.Server(config).run(sockets=[own])
    sys.exit()

# SPDX-License-Identifier: MIT
"""A server of a test: each client has a thread of its own."""
import threading


def accept_all(listener, serve):
    """Until the listener is closed. Returns at once; serve(client) closes the client."""
    def accept():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()

"""A way to a server that can be cut without a word, as a network does that swallows packets."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from typing import Self


class Way:
    """Hands on what comes to its ``port`` of this machine to that of a server, and back.

    1. ``cut``: connections that there are stay open for good, and nothing comes through; nor through new ones.
    2. ``mend``: new ones come through again.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._is_cut = False
        self._cuts = 0
        self._open: list[socket.socket] = [self._listener]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._cuts += 1
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for end in self._open:
            end.close()

    def cut(self) -> None:
        self._is_cut = True
        self._cuts += 1

    def mend(self) -> None:
        self._is_cut = False

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                if not self._is_cut:
                    server = socket.create_connection(("127.0.0.1", self._to))
                    self._open.append(server)
                    threading.Thread(target=self._hand_on, args=(client, server, self._cuts), daemon=True).start()

    def _hand_on(self, client: socket.socket, server: socket.socket, cuts: int) -> None:
        other = {client: server, server: client}
        with suppress(OSError):
            while True:
                for end in select.select(other, (), (), 0.1)[0]:
                    if cuts != self._cuts:
                        return
                    if not (data := end.recv(65536)):
                        client.close()
                        server.close()
                        return
                    other[end].sendall(data)

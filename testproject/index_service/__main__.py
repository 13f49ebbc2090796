"""``python -m index_service --port 8123 --file search-index.json``."""

import argparse
import asyncio
import sys
from pathlib import Path

from .server import PortTaken, Service
from .store import Store


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m index_service", description="A small search engine.")
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--file", type=Path, default=Path("search-index.json"), help="where the index is kept")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that a call takes")
    parser.add_argument("--linger", type=float, default=2.0, help="seconds to wait for the next user before it ends")
    options = parser.parse_args()
    service = Service(Store(options.file), latency=options.latency, linger=options.linger)
    try:
        asyncio.run(service.run(options.port, ready=lambda: tell("ready")))
    except PortTaken:
        tell("taken")


def tell(word: str) -> None:
    """Whoever started this process reads one word: by then somebody listens on the port."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


main()

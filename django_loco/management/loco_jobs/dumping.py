"""``loco_jobs dump``: writes jobs to stdout, or to a file that exists only when it is complete."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandError, OutputWrapper

from ...jobs.stores import searched as searched_aliases
from ...jobs.transfer.dumping import Dump
from .bulk import searched
from .terminal import Progress, jobs_in_words


def dump(
    options: Mapping[str, Any], stdout: OutputWrapper, stderr: OutputWrapper, show: Callable[[Iterable[str]], None]
) -> None:
    """Write the dump. If it goes to ``stdout``, ``show`` writes it.

    Raises ``CommandError`` if the file cannot be written, or if the dump lacks jobs.
    """
    made = Dump(searched_aliases(options["backend"]), searched(options))
    with Progress(stderr, "Dumping") as progress:
        if options["output"] is None:
            show(_shown(made, progress))
        else:
            _write_file(Path(options["output"]), _shown(made, progress))
    if options["output"] is not None:
        stdout.write(f"Dumped {jobs_in_words(made.number)} to {options['output']}.")
    if made.unreadable:
        raise CommandError(
            f"The dump lacks {jobs_in_words(len(made.unreadable))} that cannot be read as stored, and has all others. "
            f"The first is {made.unreadable[0]}: see loco_jobs show."
        )


def _shown(made: Dump, progress: Progress) -> Iterator[str]:
    for line in made:
        yield line
        progress.show(made.number)


def _write_file(path: Path, lines: Iterator[str]) -> None:
    try:
        with whole_file(path) as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error}. Nothing was dumped.") from error


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """Open a file that replaces ``path`` when it is complete and on the disk. After an error ``path`` is unchanged.

    Only this user may read the file, because arguments of jobs may be private. Raises ``OSError``.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError("it is not a file")
    with tempfile.NamedTemporaryFile(
        "w", encoding="ascii", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise

"""Says why a database cannot be used now, and the remedy if there is a known one."""

from __future__ import annotations

from .migrated import is_of_missing_migration, migrate_command

#: Parts of the errors of engines, and their remedies.
REMEDIES = {
    "readonly database": "Let the user of this process write to the file and its folder, or correct {setting}.",
    "read-only transaction": "It is a replica, or set to be read only: correct {setting}.",
    "database is locked": "Another process writes to the file: let it end, or raise {setting}['OPTIONS']['timeout'].",
    "unable to open database file": "Make its folder, let the user of this process write there, or correct {setting}.",
    "file is not a database": "It is another file, or damaged: correct {setting}, or restore the file.",
    "Connection refused": "Start it, or correct {setting}.",
}


def unusable(where: str, database: str, error: Exception) -> str:
    """Return a sentence with remedy. ``where`` is its beginning: ``The jobs are in DATABASES['default']``."""
    if is_of_missing_migration(error):
        return f"{where}, where migrations of django_loco are missing: run {migrate_command(database)}."
    said = " ".join(str(error).split()) or type(error).__name__
    for sign, remedy in REMEDIES.items():
        if sign in said:
            end = "" if said.endswith((".", "?")) else "."
            said = f"{said}{end} {remedy.format(setting=f'DATABASES[{database!r}]')}"
            break
    return f"{where}, which cannot be used now: {said}"

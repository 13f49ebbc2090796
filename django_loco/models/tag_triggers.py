"""The triggers that maintain the table of ``WaitingTag``, no matter which program writes a job.

On SQLite the table has the tags decoded from the JSON text. PostgreSQL cannot decode every tag. So there the table has
the tags as JSON strings; each string is a line of the text. Text in another form, which somebody has edited, counts as
having no tags.
"""

from __future__ import annotations

from typing import Any

from django.db import connections, transaction

TABLES = frozenset(("django_loco_job", "django_loco_waiting_tag"))
TRIGGERS = ("django_loco_tags_insert", "django_loco_tags_update", "django_loco_tags_delete")

#: Rows are looked up one by one and deleted through a view. SQLite would read the whole table for a DELETE of several
#: rows if the table had few rows at the last ``ANALYZE``, and a trigger cannot name the index to use for a DELETE.
SQLITE_VIEW = "CREATE VIEW django_loco_gone_tag AS SELECT id FROM django_loco_waiting_tag"
SQLITE_DELETE = """
    CREATE TRIGGER django_loco_gone_tag_insert INSTEAD OF INSERT ON django_loco_gone_tag FOR EACH ROW BEGIN
    DELETE FROM django_loco_waiting_tag WHERE id = NEW.id; END
"""
SQLITE_REMOVE = """
    INSERT INTO django_loco_gone_tag (id)
    SELECT DISTINCT (
        SELECT id FROM django_loco_waiting_tag INDEXED BY django_loco_tag
        WHERE backend = OLD.backend AND is_async = OLD.is_async AND tag = told.value
        AND priority = OLD.priority AND due_at = OLD.due_at AND job_id = OLD.id)
    FROM json_each(CASE WHEN json_valid(OLD.tags) THEN OLD.tags ELSE '[]' END) AS told;
"""
SQLITE_ADD = """
    INSERT INTO django_loco_waiting_tag (backend, is_async, tag, queue_name, priority, due_at, job_id)
    SELECT DISTINCT NEW.backend, NEW.is_async, value, NEW.queue_name, NEW.priority, NEW.due_at, NEW.id
    FROM json_each(CASE WHEN NEW.status = 'READY' AND json_valid(NEW.tags) THEN NEW.tags ELSE '[]' END)
    WHERE type = 'text';
"""
#: The search path is kept, because a dump by ``pg_dump`` empties it while it is loaded.
POSTGRES_FUNCTION = r"""
    CREATE OR REPLACE FUNCTION django_loco_keep_waiting_tags() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET search_path FROM CURRENT AS $$
    DECLARE
        line text;
    BEGIN
        IF TG_OP <> 'INSERT' AND OLD.status = 'READY' THEN
            FOREACH line IN ARRAY string_to_array(OLD.tags, E'\n') LOOP
                DELETE FROM django_loco_waiting_tag
                WHERE backend = OLD.backend AND is_async = OLD.is_async AND tag = rtrim(line, ',')
                AND queue_name = OLD.queue_name AND priority = OLD.priority AND due_at = OLD.due_at AND job_id = OLD.id;
            END LOOP;
        END IF;
        IF TG_OP <> 'DELETE' AND NEW.status = 'READY' THEN
            INSERT INTO django_loco_waiting_tag (backend, is_async, tag, queue_name, priority, due_at, job_id)
            SELECT DISTINCT
                NEW.backend, NEW.is_async, rtrim(told, ','), NEW.queue_name, NEW.priority, NEW.due_at, NEW.id
            FROM unnest(string_to_array(NEW.tags, E'\n')) AS told WHERE told LIKE '"%';
        END IF;
        RETURN NULL;
    END $$
"""
CHANGED = "UPDATE OF status, backend, is_async, queue_name, priority, due_at, tags"
#: The condition for running the trigger. It is false when a run ends.
CONCERNS = "OLD.tags <> '[]' AND OLD.status = 'READY' OR NEW.tags <> '[]' AND NEW.status = 'READY'"
CREATE = {
    "sqlite": (
        SQLITE_VIEW,
        SQLITE_DELETE,
        f"""CREATE TRIGGER django_loco_tags_insert AFTER INSERT ON django_loco_job FOR EACH ROW
        WHEN NEW.tags <> '[]' AND NEW.status = 'READY' BEGIN {SQLITE_ADD} END""",
        f"""CREATE TRIGGER django_loco_tags_update AFTER {CHANGED} ON django_loco_job FOR EACH ROW
        WHEN {CONCERNS} BEGIN {SQLITE_REMOVE} {SQLITE_ADD} END""",
        f"""CREATE TRIGGER django_loco_tags_delete AFTER DELETE ON django_loco_job FOR EACH ROW
        WHEN OLD.tags <> '[]' AND OLD.status = 'READY' BEGIN {SQLITE_REMOVE} END""",
    ),
    "postgresql": (
        POSTGRES_FUNCTION,
        """CREATE TRIGGER django_loco_tags_insert AFTER INSERT ON django_loco_job FOR EACH ROW
        WHEN (NEW.tags <> '[]' AND NEW.status = 'READY') EXECUTE FUNCTION django_loco_keep_waiting_tags()""",
        f"""CREATE TRIGGER django_loco_tags_update AFTER {CHANGED} ON django_loco_job FOR EACH ROW
        WHEN ({CONCERNS}) EXECUTE FUNCTION django_loco_keep_waiting_tags()""",
        """CREATE TRIGGER django_loco_tags_delete AFTER DELETE ON django_loco_job FOR EACH ROW
        WHEN (OLD.tags <> '[]' AND OLD.status = 'READY') EXECUTE FUNCTION django_loco_keep_waiting_tags()""",
    ),
}
#: Runs the trigger for each job that already waits. Creating a trigger locks out other writers.
FILL = (
    "DELETE FROM django_loco_waiting_tag",
    "UPDATE django_loco_job SET status = status WHERE status = 'READY' AND tags <> '[]'",
)
DROP = {
    "sqlite": (*(f"DROP TRIGGER IF EXISTS {name}" for name in TRIGGERS), "DROP VIEW IF EXISTS django_loco_gone_tag"),
    "postgresql": (
        *(f"DROP TRIGGER IF EXISTS {name} ON django_loco_job" for name in TRIGGERS),
        "DROP FUNCTION IF EXISTS django_loco_keep_waiting_tags()",
    ),
}
PRESENT = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'django_loco_tags_%'",
    "postgresql": """
        SELECT count(*) FROM pg_trigger
        WHERE tgname LIKE 'django_loco_tags_%' AND tgrelid = to_regclass('django_loco_job')
    """,
}


def keep_triggers(using: str, plan: Any = None, **_: Any) -> None:
    """Create the triggers in the database ``using`` if it has the tables but not the triggers.

    Runs after ``migrate``, because migrations alone are not enough: SQLite drops the triggers of ``StoredJob`` when
    Django recreates that table to alter it, and tests may create tables without migrations. Does nothing after
    ``flush``, which has no ``plan``. A migration that alters the table of ``WaitingTag`` has to run ``DROP`` first,
    because SQLite cannot rename a table that a view refers to.
    """
    connection = connections[using]
    if plan is None or connection.vendor not in CREATE:
        return
    with connection.cursor() as cursor:
        if not set(connection.introspection.table_names(cursor)) >= TABLES:
            return
        cursor.execute(PRESENT[connection.vendor])
        if cursor.fetchone()[0] == len(TRIGGERS):
            return
        with transaction.atomic(using=using):
            for statement in making(connection.vendor):
                cursor.execute(statement)


def making(vendor: str) -> tuple[str, ...]:
    """Return the SQL that recreates the triggers and fills the table."""
    return (*DROP[vendor], *CREATE[vendor], *FILL)

from typing import Any

from django.db import migrations, models

from ..models.tag_triggers import POSTGRES_FUNCTION


def replace_function(apps: Any, schema_editor: Any) -> None:
    """Let the function of the triggers find its table whatever the search path of its caller is."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_FUNCTION, params=None)


class Migration(migrations.Migration):
    dependencies = [("django_loco", "0029_closed_at")]

    operations = [
        migrations.AlterModelManagers(name="waitingtag", managers=[("dumped", models.Manager())]),
        migrations.RunPython(replace_function, migrations.RunPython.noop, hints={"model_name": "waitingtag"}),
    ]

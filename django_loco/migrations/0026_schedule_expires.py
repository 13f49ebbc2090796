from django.core.validators import MinValueValidator
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_loco", "0025_limits"),
    ]

    operations = [
        migrations.AddField(
            model_name="schedule",
            name="expires",
            field=models.FloatField(blank=True, null=True, validators=[MinValueValidator(0.0)]),
        ),
    ]

"""Who fires the ticks that many schedulers share, and which have been fired."""

from __future__ import annotations

from django.db import models


class ScheduleLead(models.Model):
    """What the leader of the schedulers on one queue tells the others. Only ``scheduler.board`` writes to it.

    A row may be deleted at any time: then the schedulers find out anew.
    """

    scope = models.CharField(max_length=64, primary_key=True)
    """Which queue."""

    holder = models.CharField(max_length=64)
    """Which scheduler leads: the id of its process, and one of its own. Empty: it has left the lead to others."""

    beat = models.BigIntegerField()
    """A number that each change makes larger: who has seen an older one may not write."""

    fired = models.TextField()
    """JSON: what has been fired lately, by tick."""

    told_at = models.DateTimeField()
    """By the leader's clock; only so that old rows can be deleted."""

    class Meta:
        """Names that do not follow from the class's."""

        app_label = "django_loco"
        db_table = "django_loco_schedule_lead"
        verbose_name = "schedule lead"

    def __str__(self) -> str:
        return self.scope

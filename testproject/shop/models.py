from uuid import uuid4

from django.db import models


class Product(models.Model):
    name = models.CharField(max_length=80)
    category = models.CharField(max_length=20)
    thing = models.CharField(max_length=20)
    material = models.CharField(max_length=20)
    colour = models.CharField(max_length=20)
    description = models.CharField(max_length=200)
    price = models.DecimalField(max_digits=7, decimal_places=2)

    def document(self) -> dict[str, object]:
        """What the search index holds of a product; ``text`` is what is searched."""
        return {
            "id": self.pk,
            "name": self.name,
            "icon": self.thing.replace(" ", "-"),
            "colour": self.colour,
            "description": self.description,
            "price": str(self.price),
            "text": f"{self.name} {self.category} {self.description}",
        }


class Reindex(models.Model):
    """One press of a re-index button. How far it has come, the index itself tells."""

    class Kind(models.TextChoices):
        SINGLE = "single", "single jobs"
        ASYNC = "async", "async jobs"
        BATCH = "batch", "batches of 500"

    # Not 1, 2, 3: the index is kept in a file of its own, and may know the numbers of a database that is gone.
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    jobs = models.PositiveIntegerField()
    products = models.PositiveIntegerField()
    enqueued_in = models.FloatField(null=True, help_text="seconds that it took to enqueue the jobs")
    created_at = models.DateTimeField(auto_now_add=True)


class Trial(models.Model):
    """One press of a button that makes a job fail: the id under which its result is found."""

    result_id = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)


class PriceRefresh(models.Model):
    """One run of the schedule."""

    changed = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

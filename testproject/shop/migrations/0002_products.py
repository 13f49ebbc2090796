"""2,500 products: 5 categories of 5 things, each in 10 materials and 10 colours. The same on every machine."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from typing import Any

from django.db import migrations

COLOURS = ["moss", "sand", "ink", "clay", "rose", "slate", "ochre", "sea", "plum", "chalk"]
RANGE = {
    "kitchen": (
        "mug,bowl,jug,board,jar",
        "steel,copper,ceramic,glass,oak,walnut,bamboo,stoneware,enamel,cast iron",
        "for every day",
    ),
    "desk": (
        "lamp,clock,bookend,pen tray,notebook",
        "oak,walnut,ash,beech,cork,leather,steel,brass,aluminium,marble",
        "for a quiet hour",
    ),
    "garden": (
        "planter,watering can,trowel,lantern,bench",
        "teak,cedar,zinc,steel,copper,terracotta,stone,bamboo,iron,concrete",
        "for wind and rain",
    ),
    "textile": (
        "blanket,cushion,towel,apron,rug",
        "wool,linen,cotton,hemp,cashmere,felt,canvas,velvet,jute,alpaca",
        "for cold evenings",
    ),
    "travel": (
        "backpack,bottle,wallet,case,umbrella",
        "leather,canvas,waxed cotton,nylon,steel,titanium,cork,wool,felt,aluminium",
        "for the way home",
    ),
}


def add_products(apps: Any, schema_editor: Any) -> None:
    Product = apps.get_model("shop", "Product")
    Product.objects.bulk_create(Product(**fields) for fields in products())


def products() -> Iterator[dict[str, Any]]:
    """Yield the fields of each product, in an order in which neighbours differ."""
    things = [(category, thing) for category, (names, *_) in RANGE.items() for thing in names.split(",")]
    for number, (i, j, (k, (category, thing))) in enumerate(product(range(10), range(10), enumerate(things))):
        _, materials, purpose = RANGE[category]
        material, colour = materials.split(",")[(i + k) % 10], COLOURS[(i + j + 3 * k) % 10]
        yield {
            "name": f"{material.capitalize()} {thing}, {colour}",
            "category": category,
            "thing": thing,
            "material": material,
            "colour": colour,
            "description": f"{purpose.capitalize()}.",
            "price": Decimal(900 + number * 137 % 9000) / 100,
        }


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.RunPython(add_products, migrations.RunPython.noop)]

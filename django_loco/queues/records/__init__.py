"""What a queue stores beside jobs, and the methods of queues for it."""

from .batches import Batches
from .minutes import Statistics


class Records(Statistics, Batches):
    """The methods of a queue for what it stores beside jobs. A queue need not have any of them."""

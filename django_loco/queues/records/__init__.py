"""The records, other than jobs, of a queue, and its methods for them."""

from .batches import Batches
from .minutes import Statistics
from .pauses import JobPauses
from .signals import JobSignals


class Records(Statistics, Batches, JobPauses, JobSignals):
    """The methods of a queue for what it stores beside jobs. A queue need not have any of them."""

"""The records, other than jobs, of a queue, and its methods for them."""

from .batches import Batches
from .minutes import Statistics
from .pauses import JobPauses


class Records(Statistics, Batches, JobPauses):
    """The methods of a queue for what it stores beside jobs. A queue need not have any of them."""

"""The records, other than jobs, of a queue, and its methods for them."""

from .batches import Batches
from .minutes import Statistics
from .pauses import JobPauses
from .signals import JobSignals
from .workflows import Workflows


class Records(Statistics, Batches, Workflows, JobPauses, JobSignals):
    """The methods of a queue for what it stores beside jobs. A queue need not have any of them."""

"""The records, other than jobs, of a queue, and its methods for them."""

from .batches import Batches
from .limits import Limiting
from .minutes import Statistics
from .pauses import JobPauses
from .signals import JobSignals
from .workflows import Workflows


class Records(Statistics, Batches, Workflows, JobPauses, JobSignals, Limiting):
    """The methods of a queue for its records. A queue need not implement any of them."""

"""The records, other than jobs, of a queue, and its methods for them."""

from .batches import Batches
from .limits import Limiting
from .minutes import Statistics
from .pauses import Pauses
from .signals import JobSignals
from .workflows import Workflows


class Records(Statistics, Batches, Workflows, JobSignals, Limiting, Pauses):
    """The methods of a queue for its records. A queue has to implement only ``pause``, ``resume`` and ``paused``."""

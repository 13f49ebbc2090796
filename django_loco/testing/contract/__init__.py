"""The contract of queues as a test suite. The built-in queues pass it, and so should yours."""

from .enqueueing import EnqueueContract, RestoreContract
from .fetching import FetchContract
from .groups.batch_members import BatchMemberContract
from .groups.batch_pruning import BatchPruningContract
from .groups.batch_rounds import BatchRoundContract
from .groups.batches import BatchContract
from .groups.workflows import WorkflowContract
from .operations.changing import ChangeContract
from .operations.pausing import PauseContract
from .operations.signals import SignalContract
from .options.ageing import AgeingContract
from .options.limit_histories import LimitHistoryContract
from .options.limited_claims import LimitedClaimContract
from .options.limited_jobs import LimitedJobContract
from .options.limits import LimitContract
from .options.retention import RetentionContract
from .options.unique import UniqueContract
from .options.unique_histories import UniqueHistoryContract
from .outcomes import OutcomeContract
from .rescuing import RescueContract, SuspectContract
from .updating import LogContract, UpdateContract
from .viewing import SeriesContract, ViewContract
from .waiting import WaitContract
from .workers import MinuteContract, WorkerContract

__all__ = ["QueueContract"]


class QueueContract(
    EnqueueContract,
    FetchContract,
    OutcomeContract,
    UpdateContract,
    LogContract,
    SignalContract,
    RescueContract,
    SuspectContract,
    ViewContract,
    ChangeContract,
    PauseContract,
    RestoreContract,
    SeriesContract,
    UniqueContract,
    UniqueHistoryContract,
    LimitContract,
    LimitedJobContract,
    LimitHistoryContract,
    LimitedClaimContract,
    RetentionContract,
    AgeingContract,
    WaitContract,
    WorkerContract,
    MinuteContract,
    BatchContract,
    BatchMemberContract,
    BatchPruningContract,
    BatchRoundContract,
    WorkflowContract,
):
    """Mix it into a test class for pytest or unittest and define ``make_queue``.

    ::

        class TestMyQueue(QueueContract):
            def make_queue(self):
                return MyQueue("default", {"url": "..."})

    Each test makes a queue and clears it. Threads call ``close`` when they no longer need the queue, as workers do. A
    queue in a Django database needs a test class that commits (``TransactionTestCase``,
    ``django_db(transaction=True)``). No test waits for time to pass: if a lease has to expire, it lasts 0 seconds.
    """

"""Locks for anything: ``with lock("stock:42"): ...`` runs in one process, thread or coroutine at a time.

How a lock is held
------------------
1. A claim gets the lock, or gets in line. One text in the store says who has the lock and who waits. Each change
   replaces the whole text (``stores.base``). The rules of the line are in ``state``, the same for every store.
2. A grant is valid for a *lease*, which a thread renews at a third of its length (``renewal``). If the process dies,
   the next in line gets the lock when the lease has run out.
3. A grant has a *token*, higher than that of each grant before. A process that was stopped for longer than its lease
   goes on without knowing that it has lost the lock. No lock can prevent that. The protected resource can: it refuses
   a token that is lower than one it has seen.
4. The holder measures its lease by a clock that only goes forward, from a moment before it asked the store. So it
   treats the lock as lost before the store gives it to somebody else.
"""

from ..exceptions import LockHeld, LockLost, LockTimeout
from .held import HeldLock, held
from .lock import Lock, lock

__all__ = ["HeldLock", "Lock", "LockHeld", "LockLost", "LockTimeout", "held", "lock"]

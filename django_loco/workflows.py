"""Jobs that belong together: batches, chains, groups and workflows.

``from django_loco.workflows import Workflow, batch, chain, group``; ``django_loco.tasks`` has the same names.
"""

from .tasks import Batch, Node, Signature, Workflow, batch, chain, group

__all__ = ["Batch", "Node", "Signature", "Workflow", "batch", "chain", "group"]

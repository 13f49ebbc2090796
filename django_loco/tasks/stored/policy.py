"""The policy of a stored job: how often it is tried, its time limit, and the other options of its run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...conf import LocoSettings, loco_settings
from ...core.compat import Task
from ...core.job import Job
from ...core.job.retry import Policy
from ...core.task_options import STORED_OPTIONS, resolve_paths
from ...log.plain_text import one_line
from ...log.safe import get_logger
from .options import option_from_json

logger = get_logger("django_loco.worker")


def policy_of(task: Task[..., Any], job: Job) -> Policy:
    """Return the policy for ``job``.

    Its options come from ``using()``, ``LOCO["TASKS"]``, ``@task`` and ``LOCO``, the strongest first.
    """
    loco = loco_settings()
    if job.options and (overrides := job.overrides):
        return _merged(task, job.task_path, loco, overrides)
    cached_task, cached_loco, policy = _policies.get(job.task_path, (None, None, None))
    if policy is None or cached_task is not task or cached_loco is not loco:
        policy = _merged(task, job.task_path, loco, {})
        _policies[job.task_path] = task, loco, policy
    return policy


#: By task path: the task, the settings, and the policy that follows from them for a job without options of its own.
_policies: dict[str, tuple[Task[..., Any], LocoSettings, Policy]] = {}


def _merged(task: Task[..., Any], path: str, loco: LocoSettings, options: Mapping[str, Any]) -> Policy:
    restored = _policy_options(path, options)
    declared = {name: getattr(task, name, None) for name in STORED_OPTIONS}
    configured = loco.TASKS.get(path) or loco.TASKS.get(task.module_path, {})  # of a renamed task
    layers = [
        {
            name: resolve_paths(name, value)
            for name, value in layer.items()
            if value is not None and name not in restored
        }
        for layer in (declared, configured)
    ]
    policy = Policy.merged({"max_attempts": loco.MAX_ATTEMPTS, "keep_log": loco.KEEP_LOG}, *layers, restored)
    return replace(policy, keep_log=loco.KEEP_LOG or "INFO") if policy.keep_log is True else policy


def _policy_options(path: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored ``options`` as a policy takes them.

    A back-off function that cannot be imported is logged and left out: the job keeps the back-off of its task.
    """
    values = {name: option_from_json(name, value) for name, value in options.items() if name != "backoff"}
    try:
        return values | {"backoff": option_from_json("backoff", options["backoff"])} if "backoff" in options else values
    except ImportError as error:
        logger.warning("Ignored the back-off of a job of %s: %s", path, one_line(error))
        return values

"""Signed jobs: with ``LOCO["SIGN"]`` a worker runs only what was enqueued by a process that knows ``SECRET_KEY``.

The signature is made when a job is enqueued, travels among its options, and is verified before the job runs. It covers
what runs: the id, the alias, the task, its arguments, its options, the queue's name and the once-key. It does not cover
what changes while a job lives (status, attempts, due time, checkpoint, result), nor its priority and tags.
"""

from __future__ import annotations

import json
from dataclasses import replace

from django.core.signing import BadSignature, Signer

from ..conf import loco_settings
from .job import SIGNATURE, Job

SALT = "django_loco.job"


def sign(jobs: list[Job]) -> list[Job]:
    """Return ``jobs`` as they are to be stored: signed if ``LOCO["SIGN"]`` says so."""
    return [signed(job) for job in jobs] if loco_settings().SIGN else jobs


def signed(job: Job) -> Job:
    """Return ``job`` with its signature, made with ``SECRET_KEY``."""
    return replace(job, options={**job.options, SIGNATURE: _signer().signature(_content(job))})


def is_genuine(job: Job) -> bool:
    """Whether the signature of ``job`` was made with ``SECRET_KEY`` or one of ``SECRET_KEY_FALLBACKS``."""
    try:
        _signer().unsign(f"{_content(job)}:{job.options.get(SIGNATURE)}")
    except (BadSignature, UnicodeEncodeError):  # the latter: no text that was ever signed
        return False
    return True


def _signer() -> Signer:
    return Signer(salt=SALT)


def _content(job: Job) -> str:
    options = {name: given for name, given in job.options.items() if name != SIGNATURE}
    covered = [job.id, job.backend, job.task_path, job.queue_name, job.key, options]
    # The first line break ends what is JSON here, so that no two jobs have the same text.
    return f"{json.dumps(covered, sort_keys=True)}\n{job.arguments}"

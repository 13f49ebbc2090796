"""Signs jobs and verifies signatures: with ``LOCO["SIGN"]`` a worker runs only jobs signed with ``SECRET_KEY``.

A job is signed when it is enqueued, and verified before it runs. The signature is one of its options. It covers the id,
the alias, the task, the arguments, the options, the name of the queue and the once-key. It does not cover fields that
change later (status, attempts, due time, checkpoint, metadata, result), nor priority and tags.
"""

from __future__ import annotations

import json
from dataclasses import replace

from django.core.signing import BadSignature, Signer

from ..conf import loco_settings
from ..core.job import SIGNATURE, Job

SALT = "django_loco.job"


def sign(jobs: list[Job]) -> list[Job]:
    """Return ``jobs`` as they are stored: signed if ``LOCO["SIGN"]`` is true."""
    return [signed(job) for job in jobs] if loco_settings().SIGN else jobs


def signed(job: Job) -> Job:
    """Return ``job`` with its signature, made with ``SECRET_KEY``."""
    return replace(job, options={**job.options, SIGNATURE: _signer().signature(_content(job))})


def is_genuine(job: Job) -> bool:
    """Return whether ``job`` was signed with ``SECRET_KEY`` or one of ``SECRET_KEY_FALLBACKS``."""
    try:
        _signer().unsign(f"{_content(job)}:{job.options.get(SIGNATURE)}")
    except (BadSignature, UnicodeEncodeError):  # UnicodeEncodeError: text that cannot have been signed
        return False
    return True


def _signer() -> Signer:
    return Signer(salt=SALT)


def _content(job: Job) -> str:
    options = {name: value for name, value in job.options.items() if name != SIGNATURE}
    covered = [job.id, job.backend, job.task_path, job.queue_name, job.key, options]
    # JSON has no line breaks here, so the first one ends it, and no two jobs have the same text.
    return f"{json.dumps(covered, sort_keys=True)}\n{job.arguments}"

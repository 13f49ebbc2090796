"""The filter language of jobs, ``status:failed task:shop.* older:2h``, in text and as keyword arguments."""

from .filter import Filter, filter_of
from .keywords import Keywords
from .words import id_of

__all__ = ["Filter", "Keywords", "filter_of", "id_of"]

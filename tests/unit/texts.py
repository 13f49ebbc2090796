"""Texts of any characters for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

#: The same characters as the default of ``st.text()``, which finds them by encoding each of a million: that takes
#: seconds, and close to a minute under coverage on a busy machine.
CHARACTERS = st.characters(exclude_categories=["Cs"])
texts = st.text(CHARACTERS)

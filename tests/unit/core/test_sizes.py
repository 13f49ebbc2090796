import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_loco.core.sizes import cut, require_result_size


@given(st.text(max_size=50), st.integers(1, 100))
def test_what_fits_is_left_as_it_is(text, more):
    assert cut(text, len(text.encode()) + more, "why") == text


@given(st.text(alphabet="aä€𝄞\ud800", min_size=30, max_size=200), st.integers(1, 25))
def test_of_what_does_not_fit_both_ends_are_left(text, size):
    shown = cut(text, size, "why")
    head, _, rest = shown.partition("\n[... ")
    said, _, tail = rest.partition(" ...]\n")
    assert text.startswith(head.encode(errors="ignore").decode()) or "\ud800" in text
    assert len((head + tail).encode(errors="surrogatepass")) <= size
    assert said.endswith("were left out here: why")


def test_the_size_is_told():
    shown = cut("a" * 5_000 + "z" * 5_000, 1_000, "LOCO['MAX_TRACEBACK_SIZE']")
    assert shown.startswith("a" * 500 + "\n[... 9,000 of 10,000 bytes were left out here: LOCO['MAX_TRACEBACK_SIZE']")
    assert shown.endswith("...]\n" + "z" * 500)


def test_a_result_at_the_limit_is_taken(settings):
    settings.LOCO = {"MAX_RESULT_SIZE": 100}
    require_result_size("it", "x" * 100)


def test_one_beyond_it_is_refused_with_size_setting_and_remedy(settings):
    settings.LOCO = {"MAX_RESULT_SIZE": 1_000}
    with pytest.raises(
        ValueError, match=r"^it takes 1,001 bytes as JSON, and LOCO\['MAX_RESULT_SIZE'\] allows 1,000\. Keep"
    ):
        require_result_size("it", "x" * 1_001)

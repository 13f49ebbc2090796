import pytest

# Failed assertions of these modules are explained as those of test modules are.
pytest.register_assert_rewrite("tests.contract.django_ours")

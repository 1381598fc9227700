import pytest

from tests.engine.rig import open_rig


@pytest.fixture
def rig(tmp_path):
    with open_rig(tmp_path) as made:
        yield made


@pytest.fixture
def make_rig(tmp_path):
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(open_rig(tmp_path, **settings))

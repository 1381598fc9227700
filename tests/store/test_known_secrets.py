"""Secrets taken out of a text in one pass: as many, and nothing else, as looking for each would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flowrunner.store.credentials import MASK
from flowrunner.store.known_secrets import KnownSecrets
from flowrunner.store.masking import mask

SECRETS = st.sets(
    st.text(alphabet="abc", min_size=8, max_size=12) | st.text(alphabet="ab", min_size=65, max_size=70),
    min_size=9,
    max_size=14,
)


@given(SECRETS, st.data())
def test_no_secret_is_left_and_what_is_none_stays(secrets, data):
    pieces = data.draw(st.lists(st.sampled_from(sorted(secrets)) | st.text(alphabet="xyz ", max_size=5), max_size=6))
    text = " ".join(pieces)
    shown = KnownSecrets(secrets).replace_in(text)
    assert not any(secret in shown for secret in secrets)
    assert shown.replace(MASK, "").replace(" ", "") == "".join(p for p in pieces if p not in secrets).replace(" ", "")


def test_many_rows_are_masked_by_a_number_of_looks_proportional_to_them(monkeypatch):
    looks = []
    looked = KnownSecrets._end_of
    monkeypatch.setattr(KnownSecrets, "_end_of", lambda self, *place: looks.append(place[1]) or looked(self, *place))
    rows = [{"token": f"abcdefgh{n:06}", "t": f"said abcdefgh{n:06} aloud"} for n in range(900)]
    secrets: set[str] = set()
    shown = mask(rows, secrets)
    assert all(row["t"] == f"said {MASK} aloud" for row in shown)
    assert len(secrets) == 900
    assert len(looks) < 4 * len(rows)


def test_secrets_are_found_in_json_text():
    few, many = KnownSecrets(["supersecret"]), KnownSecrets(f"supersecret{n}" for n in range(20))
    for known in (few, many):
        assert known.are_absent('{"a":"nothing"}')
        assert not known.are_absent('{"a":"supersecret7"}')
    assert not KnownSecrets(['with"quote']).are_absent("{}"), "JSON writes it otherwise"

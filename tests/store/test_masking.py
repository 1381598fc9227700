"""Secrets are found by the name of their field and by their shape, and nothing of them is left."""

import json
import math
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowrunner.memory.message import Message
from flowrunner.store.credentials import MASK, MASK_LONG, is_secret_name, is_suspect, mask_text
from flowrunner.store.masking import LIST_LIMIT, TEXT_LIMIT, mask, masked_json

PLANTED = [
    "sk-abcdefghijklmnopqrstuvwxyz",
    "sk-proj-Ab12_cd34-ef56gh78",
    "sk-ant-api03-aaaaaaaaaaaaaaaaaaaa",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
    "glpat-abcdefghij1234567890",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "xoxb-123456789012-abcdefghijkl",
    "hf_abcdefghijklmnopqrstuvwx",
    "gsk_abcdefghijklmnopqrstuvwx",
    "sk_live_abcdefghijklmnop",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "ya29.a0AfH6SMBabcdefghijklmnop",
    "SG.abcdefghijklmnopqrst.abcdefghijklmnopqrstuvwxyz",
    "123456789:AAabcdefghijklmnopqrstuvwxyz0123456",
    "fr-" + "a1B2" * 10 + "xyz",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789",
]
WRAPPED = [
    "Authorization: Bearer {}",
    "authorization: Basic {}",
    "curl -H 'x-api-key: {}' http://host/",
    "api_key={}&x=1",
    '{{"password": "{}"}}',
    '{{\\"client_secret\\": \\"{}\\"}}',
    "postgresql://user:{}@host/db",
    "https://host/path?access_token={}",
    "export OPENAI_API_KEY={}",
    "AccountKey={};EndpointSuffix=core",
]


@pytest.mark.parametrize("secret", PLANTED)
@pytest.mark.parametrize("around", ["{}", "the key is {}, keep it", '"{}"', "a\n{}\nb"])
def test_known_shapes_are_found_in_text(secret, around):
    shown = mask_text(around.format(secret))
    assert secret not in shown and secret[-8:] not in shown and MASK in shown


@pytest.mark.parametrize("around", WRAPPED)
def test_what_a_name_gives_away_is_found_in_text(around):
    shown = mask_text(around.format("hunter2-Zq8Lm4Xv"))
    assert "Zq8Lm4Xv" not in shown and MASK in shown


QUOTED = [
    '{{"password": "{}"}}',
    "{{'api_key': '{}', 'n': 1}}",
    'client_secret="{}"',
    'token = "{}',
    '[{{"key": "X-Api-Key", "value": "{}"}}]',
    '{{"name": "db_password", "value": "{}", "n": 1}}',
    '{{"headers": [["Authorization", "{}"]]}}',
    "[('x-auth-token', '{}')]",
]
ODD = ["p@(7Kx!longSecret", "correct horse battery staple", "ab,cd;ef&gh<ij>kl", 'in "quotes" and \\ more', "a\nb c'd"]


@pytest.mark.parametrize("secret", ODD)
@pytest.mark.parametrize("around", QUOTED)
@pytest.mark.parametrize("levels", [0, 1, 2])
def test_a_value_in_quotes_is_masked_up_to_the_quote_that_ends_it(secret, around, levels):
    quote = "'" if "'{}'" in around else '"'
    if quote == "'" and levels:
        secret = secret.replace("'", "")
    inner = json.dumps(secret)[1:-1]
    text = around.format(inner if quote == '"' else secret.replace("\\", "\\\\").replace("'", "\\'"))
    expected = around.format(MASK)
    for _ in range(levels):
        text, expected = json.dumps({"text": text}), json.dumps({"text": expected})
    shown = mask_text(text)
    if not around.endswith("{}") or not levels:
        assert shown == expected
    assert is_suspect(text) and all(part not in shown for part in secret.split() if len(part) > 3)
    assert mask_text(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Cookie: a=1; sessionid=abcdefsecretsecret\nHost: x", f"Cookie: {MASK}\nHost: x"),
        ("set-cookie: sid=abcdef; Path=/", f"set-cookie: {MASK}"),
        ('Authorization: Digest username="Mufasa", response="6629fae4"', f"Authorization: {MASK}"),
        ("postgres://u:p@ss1234@h/db?x=a@b", f"postgres://{MASK}@h/db?x=a@b"),
        ("curl -u ann:hunter2 https://x", f"curl -u {MASK} https://x"),
        ("curl --user 'ann:hunter two' https://x", f"curl --user {MASK} https://x"),
        ("pwd=hunter2hunter2", f"pwd={MASK}"),
        ('"tokens": "hunter2hunter2"', f'"tokens": "{MASK}"'),
    ],
)
def test_what_else_gives_a_secret_away(text, shown):
    assert is_suspect(text)
    assert mask_text(text) == shown == mask_text(shown)


@pytest.mark.parametrize(
    "piece",
    [
        "cookie:",
        "curl -u ",
        "-u a:",
        "curl --user '",
        '["',
        '["password", "',
        '"key": "token", ',
        "password: ' ",
        '"key": "',
        "\\",
        '\\"',
        'token: "\\',
        'token:\\\\\\"',
        "://a:",
        "://a:b@",
        "tokens=",
        "tokens=a",
        "pwd:",
        "(",
        "secret",
        'password": "a" ',
        "authorization: digest ",
        "api-key = 'x' ",
    ],
)
def test_hostile_text_takes_no_longer_than_any_other(piece):
    for text in (piece * (100_000 // len(piece)), 'token: "' + piece * (100_000 // len(piece))):
        start = time.process_time()
        mask_text(text)
        assert time.process_time() - start < 3


def test_private_keys_are_left_out_also_when_they_are_cut():
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\nDEFghi\n-----END RSA PRIVATE KEY-----"
    assert mask_text(f"a {key} b") == f"a {MASK} b"
    assert mask_text(f"a {key[:45]}") == f"a {MASK}"


@pytest.mark.parametrize(
    "text",
    [
        "What is the key to happiness?",
        "max_tokens=100, tokens: 5",
        "total_tokens: 123456789, 'prompt_tokens': 12345678",
        "PWD=/root/folder",
        '["password", "token"] and ["user", "password", "token"]',
        '{"key": "colour", "value": "deep blue"}',
        '{"password": ""}',
        "docker run -u 1000:1000 image",
        "Slovakia asks task-management-systems",
        "https://host:8080/path?x=1",
        "me@example.org",
        "11111111-2222-4333-8444-555555555555",
        "The bearer of bad news",
        "R:second",
        "",
    ],
)
def test_ordinary_text_stays(text):
    assert mask_text(text) == text


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "apikey",
        "API-KEY",
        "password",
        "passwd",
        "secret",
        "token",
        "auth_token",
        "access_token",
        "bearer_token",
        "credential",
        "credentials",
        "auth",
        "authorization",
        "bearer",
        "private_key",
        "access-key",
        "openai_api_key",
        "x-api-key",
        "client_secret",
        "apiKey",
        "refreshToken",
        "dbPassword",
        "aws_secret_access_key",
        "cookie",
    ],
)
def test_names_of_secrets(name):
    assert is_secret_name(name) and is_suspect(name)


@pytest.mark.parametrize(
    "name", ["max_tokens", "input_tokens", "key", "keyboard", "text", "session_id", "author", "monkey", "tokenizer"]
)
def test_names_of_other_things(name):
    assert not is_secret_name(name)


def test_nested_structures_are_masked_as_recorded():
    data = {
        "text": "x",
        "api_key": "sk-abcdefghijklmnopqrstuvwxyz",
        "nested": {
            "token": "tok",
            "authorization": "Bearer abcdefghijklmnop",
            "list": [{"password": "0123456789abcdef"}],
        },
        "credentials": {"a": 1},
        "secret": None,
        "plain": "x",
        "code": "print(1)",
    }
    assert mask(data) == {
        "text": "x",
        "api_key": MASK_LONG,
        "nested": {"token": MASK, "authorization": MASK_LONG, "list": [{"password": MASK_LONG}]},
        "credentials": MASK,
        "secret": MASK,
        "plain": "x",
    }


@pytest.mark.parametrize(
    "row",
    [
        {"key": "X-Api-Key", "value": "hunter2hunter2"},
        {"name": "password", "value": "hunter2hunter2", "more": [1]},
        {"Name": " Authorization", "Value": "hunter2hunter2"},
        {"value": "hunter2hunter2", "header": "cookie"},
        ["X-Api-Key", "hunter2hunter2"],
        ("token", "hunter2hunter2"),
        {"tokens": ["hunter2hunter2"]},
        {"access_tokens": "hunter2hunter2"},
    ],
)
def test_rows_and_pairs_are_masked_by_the_name_that_they_hold(row):
    assert "hunter2" not in json.dumps(mask({"headers": [row], "said": "hunter2hunter2"}))
    assert "hunter2" not in masked_json({"headers": [row], "said": "hunter2hunter2"}, set())


@pytest.mark.parametrize(
    "value",
    [
        {"key": "colour", "value": "blue"},
        {"key": "token " * 20, "value": "blue"},
        {"name": "max_tokens", "value": 100},
        ["user", "password"],
        ["password", "token"],
        ["password", "user", "mail"],
        {"usage": {"input_tokens": 12345678, "total_tokens": "1234567890", "tokens": ["Hello", " wonderful world"]}},
        {"value": 1, "key": None},
    ],
)
def test_rows_and_counts_that_hold_no_secret_stay(value):
    assert mask(value) == value


def test_a_secret_that_a_field_gave_away_is_masked_wherever_it_stands():
    secrets = set()
    shown = mask({"said": "it is correct horse", "password": "correct horse", "n": ["correct horse!"]}, secrets)
    assert shown == {"said": f"it is {MASK}", "password": MASK_LONG, "n": [f"{MASK}!"]}
    assert mask({"later": "correct horse"}, secrets) == {"later": MASK}


def test_long_texts_and_lists_are_cut_as_recorded():
    assert mask("z" * 20000) == "z" * TEXT_LIMIT + "..."
    assert mask("z" * TEXT_LIMIT) == "z" * TEXT_LIMIT
    shown = mask(list(range(1234)))
    assert (len(shown), shown[LIST_LIMIT]) == (LIST_LIMIT + 1, "... [truncated 234 items]")
    assert mask(list(range(1234)), cut=False) == list(range(1234))


def test_a_secret_across_the_cut_leaves_no_first_half():
    assert "sk-" not in mask("z" * (TEXT_LIMIT - 10) + " sk-abcdefghijklmnopqrstuvwxyz" + "z" * 9000)


def test_cycles_and_depth_end():
    ring = {"a": 1}
    ring["self"] = [ring, ring]
    assert mask(ring) == {"a": 1, "self": ["...", "..."]}
    deep = []
    for _ in range(5000):
        deep = [deep]
    json.dumps(mask(deep))


def test_size_is_bounded():
    wide = [["x"] * 1000 for _ in range(1000)]
    assert len(json.dumps(mask(wide))) < 1_000_000
    assert len(mask({f"field {n}": n for n in range(100_000)})) < 60_000


def test_what_is_no_json_is_shown_by_its_kind():
    shown = mask({"a": object(), "b": b"x", "m": Message(text="t"), "n": math.nan, "i": math.inf, 3: (1, 2), "s": {1}})
    assert shown == {"a": "object", "b": "bytes", "m": "t", "n": None, "i": None, "3": [1, 2], "s": "set"}


def test_text_and_structure_are_masked_alike():
    assert json.loads(masked_json({"a": "x", "n": [1, {"b": None}]}, set())) == {"a": "x", "n": [1, {"b": None}]}
    for record in ({"token": "t"}, {"a": "sk-" + "a" * 20}, {"a": "z" * 7000}, {"code": "x"}, {"a": object()}):
        assert json.loads(masked_json(record, set())) == mask(record)
    assert "horse" not in masked_json({"a": "a horse"}, {"horse"}, ())
    assert "\\" not in json.loads(masked_json({"a": 'x"y\\z'}, {'x"y\\z'}, ()))["a"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.sampled_from(PLANTED),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=12) | st.sampled_from(["api_key", "text", "token", "code"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
@example({"token": MASK, "password": MASK_LONG})
@example("token: " + MASK)
def test_masking_twice_changes_nothing_more(value):
    once = mask(value)
    assert mask(once, cut=False) == once
    json.dumps(once, allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(JSON, st.sampled_from(PLANTED), st.text(max_size=20))
def test_a_planted_secret_is_nowhere(value, secret, around):
    planted = {"value": value, "said": f"{around} {secret} {around}", "list": [[f" {secret}"]], "password": f"{secret}"}
    for shown in (json.dumps(mask(planted)), masked_json(planted, set())):
        assert secret not in shown


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300) | st.text("keytokn:=sk-eyJ.@/ \"'\\BEGINPRVAT", max_size=300))
def test_the_quick_look_misses_nothing(text):
    if not is_suspect(text):
        assert mask_text(text) == text
    assert mask_text(mask_text(text)) == mask_text(text)

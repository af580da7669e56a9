"""Webhooks are signed as the standard says, and nothing else passes."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Refused, Unavailable
from ledger.gateways.signing import message_id, new_secret, sign, verify

# The vector of the standard's own tests: "sign function works" in libraries/javascript/src/webhook.test.ts of
# github.com/standard-webhooks/standard-webhooks (10d3e46); svix's documentation prints the same one.
KEY = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = "2021-02-25T15:02:10.000000Z"
BODY = b'{"test": 2432232314}'
VECTOR = {
    "webhook-id": ID,
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
OTHER = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="


def test_the_standards_vector_is_signed_and_verified() -> None:
    assert sign(KEY, ID, AT, BODY) == VECTOR
    assert verify(KEY, VECTOR, BODY, AT) == ID


def test_a_part_of_a_second_is_cut() -> None:
    assert sign(KEY, ID, "2021-02-25T15:02:10.999999Z", BODY) == VECTOR


@pytest.mark.parametrize(
    "header",
    [
        f"{OTHER} v2,nonsense {VECTOR['webhook-signature']} {OTHER}",
        f"{VECTOR['webhook-signature']} {OTHER}",
    ],
)
def test_one_good_signature_of_several_is_enough(header: str) -> None:
    assert verify(KEY, {**VECTOR, "webhook-signature": header}, BODY, AT) == ID


def test_two_secrets_are_good_while_one_replaces_the_other() -> None:
    fresh = new_secret()
    for secret in (f"{fresh} {KEY}", f"{KEY} {fresh}"):
        assert verify(secret, VECTOR, BODY, AT) == ID
    with pytest.raises(Refused, match="webhook_signature_wrong"):
        verify(fresh, VECTOR, BODY, AT)


@pytest.mark.parametrize("missing", VECTOR)
def test_without_one_of_its_headers_it_is_not_signed(missing: str) -> None:
    for headers in ({k: v for k, v in VECTOR.items() if k != missing}, {**VECTOR, missing: ""}):
        with pytest.raises(Refused, match="webhook_unsigned"):
            verify(KEY, headers, BODY, AT)


@pytest.mark.parametrize(
    "seconds", ["hello", "-1614265330", "1614265330.0", "1e9", " 1614265330", "١٦١٤٢٦٥٣٣٠", "9" * 40]
)
def test_a_timestamp_is_whole_seconds(seconds: str) -> None:
    with pytest.raises(Refused, match="webhook_unsigned"):
        verify(KEY, {**VECTOR, "webhook-timestamp": seconds}, BODY, AT)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": "1614265331"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,g0hM9SsE"},
        {"webhook-signature": VECTOR["webhook-signature"].removeprefix("v1,")},
        {"webhook-signature": VECTOR["webhook-signature"].replace("v1", "v2")},
        {"webhook-signature": VECTOR["webhook-signature"].replace("v1", "v1a")},
        {"webhook-signature": VECTOR["webhook-signature"].upper()},
        {"webhook-signature": "v1,ñandú"},
        {"webhook-signature": OTHER},
    ],
)
def test_what_was_not_signed_does_not_pass(changed: dict[str, str]) -> None:
    with pytest.raises(Refused, match="webhook_signature_wrong"):
        verify(KEY, {**VECTOR, **changed}, BODY, AT)


@given(body=st.binary(max_size=200))
def test_no_other_body_passes(body: bytes) -> None:
    if body != BODY:
        with pytest.raises(Refused, match="webhook_signature_wrong"):
            verify(KEY, VECTOR, body, AT)


@given(id=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="."), min_size=1, max_size=255))
def test_every_id_that_can_be_signed_is_verified(id: str) -> None:
    assert verify(KEY, sign(KEY, id, AT, b"\xff\x00"), b"\xff\x00", AT) == id


def test_no_stop_in_an_id_can_move_a_part_of_the_body_into_it() -> None:
    """`a`, then `1614265330.b` signs the same bytes as `a.1614265330`, then `b`, were stops allowed."""
    signed = sign(KEY, "a", AT, b"1614265330.b")
    moved = {**signed, "webhook-id": "a.1614265330"}
    with pytest.raises(Refused, match="webhook_unsigned"):
        verify(KEY, moved, b"b", AT)
    for id in ("a.1", "", "a b", "ñ", "x" * 256, "a\n"):
        with pytest.raises(ValueError, match="webhook-id"):
            sign(KEY, id, AT, BODY)


@pytest.mark.parametrize(
    ("now", "good"),
    [
        ("2021-02-25T15:07:10.000000Z", True),
        ("2021-02-25T15:07:11.000000Z", False),
        ("2021-02-25T14:57:10.000000Z", True),
        ("2021-02-25T14:57:09.000000Z", False),
    ],
)
def test_five_minutes_either_way(now: str, good: bool) -> None:
    if good:
        assert verify(KEY, VECTOR, BODY, now) == ID
        return
    with pytest.raises(Refused) as refused:
        verify(KEY, VECTOR, BODY, now)
    assert refused.value.code == "webhook_too_old"
    assert "5 min" in refused.value.message("es")


def test_a_forged_message_is_not_told_that_its_time_is_wrong() -> None:
    with pytest.raises(Refused, match="webhook_signature_wrong"):
        verify(KEY, {**VECTOR, "webhook-signature": OTHER}, BODY, "2030-01-01T00:00:00.000000Z")


@pytest.mark.parametrize(
    "secret",
    ["", " ", "whsec_", "MfKQ9r8GKYqr", KEY.removeprefix("whsec_"), "whsec_ñ", "whsec_!!!!",
     "whsec_" + b64encode(b"x" * 23).decode(), "whsec_" + b64encode(b"x" * 65).decode()],
)  # fmt: skip
def test_a_secret_that_is_none_is_refused_without_showing_it(secret: str) -> None:
    calls: list[Any] = [lambda: sign(secret, ID, AT, BODY), lambda: verify(secret, VECTOR, BODY, AT)]
    for call in calls:
        with pytest.raises(Unavailable) as refused:
            call()
        assert refused.value.code == "webhook_secret_wrong"
        assert not secret.strip() or secret not in str(refused.value).replace("'whsec_'", "")


def test_new_secrets_differ_and_are_good() -> None:
    one, other = new_secret(), new_secret()
    assert one != other
    assert verify(one, sign(one, ID, AT, BODY), BODY, AT) == ID


def test_a_keys_message_id_is_always_the_same_and_can_be_signed() -> None:
    assert message_id("C.1/ñ renewal 3") == message_id("C.1/ñ renewal 3") != message_id("C.1/ñ renewal 4")
    assert sign(KEY, message_id("C.1/ñ renewal 3"), AT, BODY)["webhook-id"].startswith("msg_")

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from pysoa.common._syslog_packets import encode, fragments, truncated


def _parts(text: str, message: str, limit: int) -> list[bytes] | None:
    parts = fragments(text, message, limit)
    return None if parts is None else list(parts)


def test_parts_have_the_same_bytes_as_those_of_pysoa_1() -> None:
    parts = _parts("n " + "y" * 120, "y" * 120, 55)

    assert parts == [
        b"n " + b"y" * 41 + b"... (cont'd)",
        b"n (cont'd #2) ..." + b"y" * 26 + b"... (cont'd)",
        b"n (cont'd #3) ..." + b"y" * 26 + b"... (cont'd)",
        b"n (cont'd #4) ..." + b"y" * 26 + b"... (cont'd)",
        b"n (cont'd #5) ...y",
    ]


def test_message_that_the_formatter_changed_is_split_after_thirty_characters() -> None:
    text = "N N N N N N N N N N N N N " + "YX" * 100

    parts = _parts(text, "yx" * 100, 115)

    assert parts is not None
    assert [len(part) for part in parts] == [115, 115, 115, 56]
    assert all(part.startswith(b"N N N N N N N N N N N N N YXYX ") for part in parts)


def test_empty_message_repeats_nothing_before_it() -> None:
    parts = _parts("n" * 80 + " ", "", 55)

    assert parts is not None
    assert [len(part) for part in parts] == [55, 55, 25]
    assert parts[1].startswith(b"(cont'd #2) ...n")


def test_characters_are_never_cut() -> None:
    parts = _parts("n " + "€" * 60, "€" * 60, 51)

    assert parts is not None
    assert [len(part) for part in parts] == [50, 50, 50, 50, 50, 50, 50, 35]
    assert all(part.decode() for part in parts)


def test_no_parts_when_the_preamble_leaves_no_room() -> None:
    assert _parts("p" * 50 + "message" * 20, "message" * 20, 70) is None


def test_no_parts_when_the_number_of_a_late_part_leaves_no_room() -> None:
    # 12 bytes for the end of a part, 15 for the mark of part 2, 16 for that of part 10.
    assert _parts("y" * 200, "y" * 200, 28) is None
    assert _parts("y" * 20, "y" * 20, 28) is not None


def test_no_parts_when_a_single_character_does_not_fit() -> None:
    assert _parts("𐍈" * 30, "𐍈" * 30, 30) is None


def test_cut_text_ends_at_a_character_border() -> None:
    encoded = "aé€𐍈".encode()

    cut = [truncated(encoded, limit).decode() for limit in range(-1, 12)]

    assert cut == ["", "", "a", "a", *["aé"] * 3, *["aé€"] * 4, *["aé€𐍈"] * 2]


def test_lone_surrogates_are_escaped() -> None:
    assert encode("a\ud800é") == b"a\\ud800\xc3\xa9"


@given(st.text(max_size=60), st.text(max_size=400), st.integers(-5, 200))
def test_parts_always_end_and_join_to_the_message(preamble: str, message: str, limit: int) -> None:
    parts = _parts(preamble + message, message, limit)

    if parts is not None:
        assert all(len(part) <= limit for part in parts)
        start = (preamble + message).find(message[:40])
        encoded_preamble = encode((preamble + message)[:start])
        joined = b""
        for number, part in enumerate(parts, 1):
            content = part.removeprefix(encoded_preamble)
            if number > 1:
                content = re.sub(rb"^\(cont'd #%d\) \.\.\." % number, b"", content)
            joined += content if number == len(parts) else content.removesuffix(b"... (cont'd)")
        assert joined == encode((preamble + message)[start:])


@given(st.text(max_size=50), st.integers(-5, 250))
def test_cut_text_is_the_longest_start_that_fits(text: str, limit: int) -> None:
    cut = truncated(encode(text), limit).decode()

    assert encode(text).decode().startswith(cut)
    assert len(encode(cut)) <= max(limit, 0)
    rest = encode(text).decode()[len(cut) :]
    assert not rest or len(encode(cut + rest[0])) > limit

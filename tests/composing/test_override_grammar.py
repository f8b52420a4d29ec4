"""Words that are read without Hydra's grammar are read as it would read them."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.composing.override_grammar import GrammarError, Parsed, _by_hydra, _plain_word, parse

KEYS = st.from_regex(r"[a-zA-Z_.]{1,8}", fullmatch=True) | st.sampled_from(
    ["optimizer_spec.lr", "a.b_c", "null", "x.0"]
)
NUMBERS = st.from_regex(r"[-+]?[0-9]{0,4}\.?[0-9]{0,4}([eE][-+]?[0-9]{1,3})?", fullmatch=True)
WORDS = st.from_regex(r"[a-zA-Z0-9_/]{0,9}", fullmatch=True)
CONSTANTS = st.sampled_from(
    ["null", "Null", "NULL", "true", "True", "TRUE", "false", "inf", "nan", "-inf", "NaN", "on", "yes", "None", "~"]
)
OTHERS = st.text(alphabet="ab1._-+/:,=[]{}'\"$ \\~@%()", max_size=6)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(KEYS, NUMBERS | WORDS | CONSTANTS | OTHERS)
@example("a", "1e5")
@example("a", "01")
@example("a", "1_000")
@example("a", "0x1")
@example("a", "1.")
@example("a", "-0")
@example("a", "null/x")
def test_a_plain_word_is_read_as_the_grammar_reads_it(key: str, value: str) -> None:
    text = f"{key}={value}"
    plain = _plain_word(text)
    if plain is not None:
        read = _by_hydra(text)
        assert (plain, type(plain.value)) == (read, type(read.value))


@pytest.mark.parametrize(
    "value", ["adamw", "digits/cnn", "3e-4", "0.1", "-1", "20", "1e-08", "true", "null", "bf16_mixed", "1E5", "+3"]
)
def test_usual_values_need_no_grammar(value: str) -> None:
    assert _plain_word(f"optimizer_spec.lr={value}") == _by_hydra(f"optimizer_spec.lr={value}")


def test_the_rest_is_hydras_to_read() -> None:
    assert parse("a.b=[1, {x: 'y', 2: z}]") == Parsed("a.b", [1, {"x": "y", 2: "z"}], keys=("x", 2))
    assert parse("a={b: {c: 1}}").keys == ("b", "c")
    assert parse("~a").removes
    assert parse("a@b=c").package == "b"
    assert parse("a=1,null").sweeps
    assert parse("a=1,null").alternatives == (1, None)
    assert parse("a=range(1,3)").sweeps
    for wrong in ("a", "a=[", "a=b c=d:", "a='"):
        with pytest.raises(GrammarError):
            parse(wrong)

from app.flags import Flag, split

KNOWN = {
    "--shapes": Flag(),
    "--format": Flag(short="-f", takes_value=True, choices=("text", "json")),
    "--explain": Flag(takes_value=True),
}


def test_flags_overrides_and_names_are_told_apart_in_any_order() -> None:
    words = split(["digits/robust", "--format", "json", "optimizer_spec.lr=0.1", "--shapes", "~callbacks"], KNOWN)
    assert words.flags == {"--format": "json", "--shapes": None}
    assert words.overrides == ["optimizer_spec.lr=0.1", "~callbacks"]
    assert words.names == ["digits/robust"]
    assert words.problems == []


def test_a_flag_has_its_value_behind_it_or_behind_an_equals_sign_and_may_be_short() -> None:
    assert split(["--format=json"], KNOWN).flags == {"--format": "json"}
    assert split(["-f", "json"], KNOWN).flags == {"--format": "json"}
    assert split(["--explain", "TLA201"], KNOWN).flags == {"--explain": "TLA201"}


def test_every_wrong_flag_is_reported_at_once() -> None:
    problems = split(
        ["--shape", "--shapes=no", "--format", "xml", "--nothing-like-it", "--explain", "--shapes"], KNOWN
    ).problems
    assert [str(problem) for problem in problems] == [
        "no flag --shape; did you mean '--shapes'?   --shape",
        "--shapes takes no value   --shapes=no",
        "--format takes 'text' or 'json'   --format xml",
        "no flag --nothing-like-it; there is --shapes, --format, --explain   --nothing-like-it",
        "--explain takes a word   --explain --shapes",
    ]

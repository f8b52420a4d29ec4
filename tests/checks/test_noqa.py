from app.checks.diagnostics import Diagnostic, Severity
from app.checks.noqa import silenced
from app.schemas.codes import Code

LINE = "  lr: 3.0  "


def found(code: Code = Code.LEARNING_RATE, line: int = 2, *, refused: bool = False) -> Diagnostic:
    return Diagnostic(
        file="x.yaml",
        line=line,
        column=3,
        code=code,
        path="optimizer_spec.lr",
        message="is large",
        severity=Severity.ERROR if refused else Severity.WARNING,
        refused=refused,
    )


def left(comment: str, *diagnostics: Diagnostic, looked_for: set[Code] | None = None, line: str = LINE) -> list[str]:
    text = f"optimizer_spec:\n{line}{comment}\n"
    rest = silenced(diagnostics, {"x.yaml": text}, {"x.yaml": set(Code) if looked_for is None else looked_for})
    return [str(each) for each in rest]


def test_a_comment_with_a_reason_silences_its_kind_in_its_line() -> None:
    assert left("# noqa: TLA309 a sweep found it", found()) == []
    assert left("# noqa: tla309 -- a sweep found it", found()) == []


def test_it_silences_neither_another_kind_nor_another_line() -> None:
    other = found(Code.UNUSED)
    assert left("# noqa: TLA309 a sweep found it", found(), other) == [str(other)]
    below = found(line=3)
    assert left("# noqa: TLA309 a sweep found it", found(), below) == [str(below)]


def test_one_comment_may_name_several_kinds() -> None:
    assert left("# noqa: TLA309, TLA305 both are meant", found(), found(Code.UNUSED)) == []


def test_without_a_reason_nothing_is_silenced() -> None:
    assert left("# noqa: TLA309", found()) == [
        str(found()),
        "x.yaml:2:12: TLA901 noqa: says no reason, and silences nothing without one; expected # noqa: TLA309 <reason>",
    ]


def test_without_a_code_nothing_is_silenced() -> None:
    assert left("# noqa", found()) == [
        str(found()),
        "x.yaml:2:12: TLA901 noqa: names no code; expected # noqa: <code> <reason>",
    ]


def test_what_a_run_refuses_cannot_be_silenced() -> None:
    wrong = found(Code.WRONG_VALUE, refused=True)
    assert left("# noqa: TLA202 I like it", wrong) == [
        str(wrong),
        "x.yaml:2:12: TLA902 noqa: TLA202 cannot be silenced here: a run refuses it too",
    ]


def test_a_comment_with_nothing_to_silence_is_reported() -> None:
    assert left("# noqa: TLA309 for good measure") == [
        "x.yaml:2:12: TLA902 noqa: nothing in this line is TLA309; remove the comment"
    ]


def test_a_comment_about_what_was_not_looked_for_is_left_alone() -> None:
    assert left("# noqa: TLA502 known", looked_for={Code.UNUSED}) == []


def test_a_code_that_does_not_exist_is_reported() -> None:
    assert left("# noqa: TLA310 close") == [
        "x.yaml:2:12: TLA902 noqa: there is no code TLA310; did you mean 'TLA301'?",
    ]


def test_a_text_that_only_mentions_it_is_no_comment() -> None:
    assert left("x#noqa: TLA309 really", found()) == [str(found())]


def test_what_looks_like_a_comment_inside_a_value_is_none() -> None:
    assert left('x # noqa: TLA309 really"', found(), line='  lr: "') == [str(found())]
    assert left(" # noqa: TLA309 really", found(), line='  lr: "x"') == []


def test_of_several_kinds_only_the_unneeded_one_has_to_go() -> None:
    assert left("# noqa: TLA309, TLA305 both are meant", found()) == [
        "x.yaml:2:12: TLA902 noqa: nothing in this line is TLA305; remove it from the comment"
    ]

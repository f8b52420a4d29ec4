"""Whatever is typed or written, the answer is a `RunConfig` or a `ConfigError`: no other exception, no waiting."""

import re
from collections.abc import Sequence

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from app.compose import load_config
from app.composing.experiments import LARGEST_FILE
from app.schemas.problems import ConfigError, Problem
from app.schemas.registry import options
from app.schemas.run import RunConfig
from tests.gate.conftest import Write


def words(text: str) -> list[str]:
    return text.split()


VALUES = [
    *words(
        "null true false on 010 1:30 1e400 1e-400 -1 0 nan inf ??? '' [] {} [[1],{a:b}] {a:{b:c}} 1_000 0x10 } [1,2"
    ),
    *words("1,2 range(1,3) choice(a,b) glob(*) interval(0,1) int(3) float('x') str([1]) bool(3) shuffle(1,2) {null:1}"),
    *words("${trainer.max_epochs} ${optimizer_spec} ${.lr} ${..task.monitor} ${task} ${nothing} ${a ${} ${callbacks}"),
    *words("${${task.monitor}} ${task.${task.name}} \\${task.name} x${task.name}y${task.mode} ${a:b:c} ${a.b[c].0}"),
    *words("${oc.env:HOME} ${oc.env:NOT_THERE} ${oc.env:NOT_THERE,3} ${oc.env:} ${oc.env:${oc.env:HOME}}"),
    *words("${oc.decode:'[1,2]'} ${oc.decode:'{'} ${oc.decode:${oc.env:HOME}} ${oc.create:{a:1}} ${now:%Y}"),
    *words("${oc.select:trainer.max_epochs} ${oc.dict.keys:trainer} ${oc.dict.values:task} ${oc.deprecated:a}"),
    *words("${hydra:run.dir} ${run_name:} ${python_version:} json_str({}) $x a\\,b {1:2} {'a.b':1} [a,b] a=b"),
    *("1" + "0" * 400, "-" + "9" * 5000, "\ud800", "a\0b", "é\u202e", "[" * 30 + "]" * 30, "x" * 20_000),
    *("'a b'", '"a\\"b"', "a b", "\t", "\n", "${" + "." * 40 + "a}"),
]
KEYS = [
    *words("task monitor mode trainer max_epochs precision devices optimizer_spec lr betas params scheduler_spec"),
    *words("callbacks checkpoint early_stopping logger csv module model_config channels datamodule dataloader"),
    *words("seed_params seed run_directory root experiment hydra run dir launcher sweeper _target_ _args_ id 0 99"),
]
PLACES = [
    *words("optimizer_spec.lr optimizer_spec.betas optimizer_spec.betas.0 optimizer_spec.params trainer.max_epochs"),
    *words("trainer.devices trainer.max_time trainer.precision callbacks callbacks.checkpoint scheduler_spec.T_max"),
    *words("callbacks.checkpoint.monitor logger scheduler_spec module module.model_config.channels"),
    *words("task task.monitor task.mode datamodule.train_val_split seed_params.seed run_directory.root checkpoint"),
    *words("experiment hydra.run.dir hydra.sweeper.max_batch_size hydra/launcher callbacks.early_stopping.patience"),
]
names = st.sampled_from([*options, *(name for named in options.values() for name in named)])
values = st.one_of(st.sampled_from(VALUES), names, st.text(max_size=30), st.integers().map(str))
keys = st.one_of(
    st.sampled_from(PLACES),
    st.lists(st.sampled_from(KEYS), min_size=1, max_size=4).map(".".join),
    names,
    st.text(max_size=12),
)
override = st.one_of(
    st.builds("{}{}={}".format, st.sampled_from(["", "", "", "+", "++", "~"]), keys, values),
    st.text(max_size=40),
    st.text(alphabet="${}[]()=.,:@~+'\"\\/ab1 ", max_size=25),
    keys,
)
scalars = st.one_of(values, st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
parts = st.dictionaries(
    st.sampled_from(["task", "trainer", "optimizer_spec", "callbacks", "module", "seed_params", "defaults", "hydra"]),
    st.dictionaries(st.sampled_from(KEYS), trees, max_size=4) | trees,
    max_size=4,
)
defaults = st.lists(
    st.one_of(
        st.builds(lambda group, name: {f"override /{group}": name}, st.sampled_from(list(options)), names | trees),
        st.dictionaries(st.text(max_size=12), trees, max_size=2),
        st.sampled_from(["_self_", "x", "y", "override /task: x", "optional y", ""]),
        trees,
    ),
    max_size=4,
)
document = st.builds(lambda tree, listed: {**tree, **({"defaults": listed} if listed else {})}, parts, defaults)


def answer(overrides: Sequence[str]) -> RunConfig | tuple[Problem, ...]:
    """What the gate says; anything but the two fails the test that asks."""
    try:
        return load_config(overrides)
    except ConfigError as error:
        return error.problems


def judge(overrides: Sequence[str]) -> None:
    """Compose, and hold the promise."""
    answered = answer(overrides)
    if isinstance(answered, tuple):
        assert answered
        for problem in answered:
            assert problem.message
            assert not re.search(r"(use|with|append|add).{0,30} \+", problem.message), "advises +"
            assert str(problem)
    else:
        assert isinstance(answered, RunConfig)


@given(st.lists(override, max_size=4))
@example(["optimizer_spec.lr=${optimizer_spec.lr}"])
@example([f"optimizer_spec.params={{{','.join(f'a{n}:{{lr:${{..a{n + 1}.lr}}}}' for n in range(100))}}}"])
@example(["trainer.max_epochs.x=1", "trainer.x.y=2", "trainer=ddp"])
@example(["a" + ".a" * 3000 + "=1"])
@example(["optimizer_spec.lr=" + "${a:" * 100 + "}" * 100])
def test_arbitrary_overrides(overrides: list[str]) -> None:
    judge(overrides)


@given(
    content=st.text(max_size=200)
    | st.binary(max_size=100)
    | st.text(alphabet="ab: -[]{}&*!|>'\"#%@?,\n\t~<", max_size=60)
)
@example(content="{" * 3000)
@example(content="? " * 3000)
@example(content="- " * 3000)
@example(content="a: " + "[" * 1000 + "]" * 1000)
@example(content="a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(50)))
@example(content="a: " + "9" * 5000)
@example(content="trainer: {max_epochs: ???}")
@example(content="\ufeff---\n...\n---\n")
def test_arbitrary_experiment_texts(experiment: Write, content: str | bytes) -> None:
    judge([experiment(content.encode(errors="replace") if isinstance(content, str) else content)])


@given(document, st.booleans())
def test_arbitrary_experiment_trees(experiment: Write, tree: dict[str, object], flow: bool) -> None:
    experiment("trainer: {max_epochs: 3}", "y")
    judge([experiment(yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True).encode(errors="replace"))])


def multiplied(count: int) -> str:
    """Parameter groups of which each holds its neighbour's text 20 times."""
    entries = (f"  a{n}: '{f'${{.a{n + 1}}}' * 20}'" for n in range(count))
    return "\n".join(["optimizer_spec:", " params:", *entries, f"  a{count}: 'xxxxxxxxxx'"])


def test_interpolations_that_explode_are_refused_at_once(experiment: Write) -> None:
    answered = answer([experiment(multiplied(9))])

    assert isinstance(answered, tuple)
    assert any("grow beyond any real config" in problem.message for problem in answered)


def test_the_largest_experiment_is_read(experiment: Write) -> None:
    judge([experiment("".join(f"key{n}: {{a: [1, 2]}}\n" for n in range(LARGEST_FILE // 30)))])

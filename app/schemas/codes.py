"""The kinds of problem that a config can have, each with the code that linters print and `# noqa` names."""

from enum import StrEnum


class Code(StrEnum):
    """The kind of a problem; `app check --explain <code>` shows its page.

    The hundreds say what was looked at: 1 the text of a file, 2 a config's values, 3 its parts together, 4 its types,
    5 the model's tensors, 9 the comments that silence the others.
    """

    SYNTAX = "TLA101"
    AMBIGUOUS = "TLA102"
    LAYOUT = "TLA103"
    RESERVED = "TLA104"

    UNKNOWN_FIELD = "TLA201"
    WRONG_VALUE = "TLA202"
    UNKNOWN_OPTION = "TLA203"
    INTERPOLATION = "TLA204"
    MISSING = "TLA205"
    CONFLICT = "TLA206"
    OVERRIDE = "TLA207"
    ENVIRONMENT = "TLA208"

    MONITOR = "TLA301"
    SCHEDULE = "TLA302"
    DROP_LAST = "TLA303"
    NORMALIZED_TWICE = "TLA304"
    UNUSED = "TLA305"
    SAME_AS_BEFORE = "TLA306"
    DUPLICATE = "TLA307"
    UNSEEDED = "TLA308"
    LEARNING_RATE = "TLA309"

    TYPE = "TLA401"

    STEP_FAILS = "TLA501"
    BROADCAST = "TLA502"
    TARGET_DTYPE = "TLA503"
    CLASS_COUNT = "TLA504"
    UNTRAINED = "TLA505"
    UNCHECKED = "TLA506"

    UNEXPLAINED = "TLA901"
    UNNEEDED = "TLA902"

"""Metrics of real tensors in a module without values, whoever makes them.

Metrics count, sort and index: nothing that a tensor without values could answer, and made of such they can end the
process. They are given real tensors of the same shapes.
"""

import copy
import functools
from abc import ABCMeta
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torchmetrics import Metric, MetricCollection

from app.shapes.fake import Values, paused, replaced


@contextmanager
def real_metrics(values: Values, measuring: Callable[[], bool]) -> Iterator[None]:
    """Let every metric live with real tensors, and take in batches only while `measuring` says so."""
    with ExitStack() as stack:

        def replace(owner: type, name: str, replacement: Any) -> None:
            stack.enter_context(replaced(owner, name, replacement))

        replace(ABCMeta, "__call__", _making(ABCMeta.__call__))
        replace(Metric, "__deepcopy__", _copied)
        for cls in (Metric, MetricCollection, *_below(Metric)):
            own = vars(cls)
            for name in {"_apply", "forward", "reset"} & own.keys():
                replace(cls, name, _apart(own[name], values, measuring if name == "forward" else _always))
            # What an instance of a metric calls as its update and compute is made by these, when it is made itself.
            for name in {"_wrap_update", "_wrap_compute"} & own.keys():
                replace(cls, name, _wrapping(own[name], values, measuring if name == "_wrap_update" else _always))
        for name in ("compute", "update"):
            counts = measuring if name == "update" else _always
            replace(MetricCollection, name, _apart(vars(MetricCollection)[name], values, counts))
        yield


def _making(plain: Any) -> Any:
    """`ABCMeta.__call__`, by which classes make instances: metrics are made of real tensors."""

    def made(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if Metric not in cls.__mro__:
            return plain(cls, *args, **kwargs)
        with paused():
            return plain(cls, *args, **kwargs)

    return made


def _copied(self: Metric, memo: dict[int, Any]) -> Metric:
    """`Metric.__deepcopy__`, of real tensors."""
    with paused():
        new: Metric = object.__new__(type(self))
        new.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return new


def _apart(plain: Any, values: Values, counts: Callable[[], bool]) -> Any:
    """A method of a metric that is given real tensors, and does nothing unless `counts` says so."""

    @functools.wraps(plain)
    def called(*args: Any, **kwargs: Any) -> Any:
        if not counts():
            return None
        with paused():
            return plain(*values.real(args), **values.real(kwargs))

    return called


def _wrapping(plain: Any, values: Values, counts: Callable[[], bool]) -> Any:
    """`_wrap_update` or `_wrap_compute`, whose results are as `_apart` has them."""
    return lambda self, function: _apart(plain(self, function), values, counts)


def _always() -> bool:
    return True


def _below(cls: type) -> set[type]:
    children: list[type] = cls.__subclasses__()
    return {inner for child in children for inner in (child, *_below(child))}

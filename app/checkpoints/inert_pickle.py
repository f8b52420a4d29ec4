"""Reads the pickle inside a checkpoint without running any of it: plain values come back, all else as a mark.

A pickle is a program. Here its instructions only ever put together lists, mappings, texts and numbers; what it would
import or call is noted down by name. Those are the instructions that `torch.save` writes, and no others are known.
"""

import struct
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pickle import decode_long
from typing import Any, Final

LARGEST_PICKLE: Final = 32 << 20
"""Bytes; tensors are kept beside the pickle, which takes some 200 bytes for each of them."""

_MOST_INSTRUCTIONS: Final = 8_000_000


class UnreadablePickleError(Exception):
    """Bytes that are no pickle of the kind that `torch.save` writes."""


@dataclass(frozen=True)
class Mark:
    """What stands for something that was not made."""

    name: str
    """Import path of what the pickle names, or would have called."""

    arguments: tuple[Any, ...] = ()
    """What it would have been called with."""


@dataclass(frozen=True)
class TensorMark:
    """What stands for a tensor."""

    shape: tuple[int, ...]
    dtype: str
    """As torch spells it, `float32`; empty when the file does not say."""


def read_pickle(data: bytes) -> Any:
    """The plain values in a pickle.

    Mappings of any kind come back as `dict`; tensors as `TensorMark`, all other objects as `Mark`. Values may be shared
    and even hold themselves, as in the pickle.

    Raises:
        UnreadablePickleError: when the bytes are something else, or far too large.
    """
    if len(data) > LARGEST_PICKLE:
        raise UnreadablePickleError(f"its values take {len(data):,} bytes, more than {LARGEST_PICKLE:,}")
    try:
        return _Machine(data).run()
    except (IndexError, KeyError, TypeError, ValueError, struct.error, OverflowError) as error:
        raise UnreadablePickleError("its values are damaged") from error


class _Machine:
    """The stack, the memo and the instructions."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        find = _INSTRUCTIONS.get
        for _ in range(_MOST_INSTRUCTIONS):
            code = self.data[self.place]
            self.place += 1
            if code == _STOP:
                return self.stack.pop()
            instruction = find(code)
            if instruction is None:
                raise UnreadablePickleError(f"its values hold an instruction that torch does not write ({code:#04x})")
            instruction(self)
        raise UnreadablePickleError("it holds far more values than a checkpoint has")

    def take(self, count: int) -> bytes:
        taken = self.data[self.place : self.place + count]
        if len(taken) != count:
            raise UnreadablePickleError("its values end too early")
        self.place += count
        return taken

    def number(self, kind: str, size: int) -> Any:
        return struct.unpack(kind, self.take(size))[0]

    def byte(self) -> int:
        value = self.data[self.place]
        self.place += 1
        return value

    def count(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def line(self) -> str:
        end = self.data.index(b"\n", self.place)
        return self.take(end + 1 - self.place)[:-1].decode("utf-8")

    def push(self, value: object) -> None:
        self.stack.append(value)

    def since_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.outer.pop()
        return items

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def named(self) -> None:
        module = self.line()
        self.push(Mark(f"{module}.{self.line()}"))

    def stored(self) -> None:
        self.push(Mark("storage", _as_tuple(self.stack.pop())))

    def called(self) -> None:
        arguments = _as_tuple(self.stack.pop())
        called = self.stack.pop()
        self.push(_result(called.name, arguments) if type(called) is Mark else Mark("unknown", arguments))

    def built(self) -> None:
        unfinished, _attributes = self.pop(2)  # plain values have no attributes
        self.push(unfinished)

    def append(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is list:
            self.stack[-1].extend(items)

    def put(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is dict:
            for place in range(0, len(items), 2):
                target[_key(items[place])] = items[place + 1]

    def remember(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def pop(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise UnreadablePickleError("its values are damaged")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def drop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.stack = self.outer.pop()


def _result(name: str, arguments: tuple[Any, ...]) -> Any:
    """What a call would give, as far as it is plain."""
    match name, arguments:
        case "collections.OrderedDict", ():
            return {}
        case "torch.Size", (tuple() as sizes,):
            return sizes
        case "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state", (TensorMark() as it, *_):
            return it
        case "torch._utils._rebuild_tensor_v2", (Mark("storage", (_, Mark(kind), *_)), _, tuple() as shape, *_):
            return TensorMark(_shape(shape), _DTYPES.get(kind.removeprefix("torch.").removesuffix("Storage"), ""))
        case "torch._utils._rebuild_tensor_v3", (Mark("storage"), _, tuple() as shape, _, _, _, Mark(dtype), *_):
            return TensorMark(_shape(shape), dtype.removeprefix("torch."))
        case "_codecs.encode", (str() as text, "latin1"):
            return text.encode("latin1")
    return Mark(name, arguments)


_DTYPES: Final = {
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
}


def _shape(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise UnreadablePickleError("a tensor's shape is damaged")
    return sizes


def _as_tuple(value: object) -> tuple[Any, ...]:
    return value if type(value) is tuple else (value,)


def _key(value: Any) -> Hashable:
    """A mapping's key: a simple value, since hashing a nested one can take forever."""
    if type(value) in (str, int, float, bool, bytes, type(None)):
        return value  # type: ignore[no-any-return]  # one of the types above
    if type(value) is tuple and all(type(item) in (str, int, float, bool) for item in value):
        return value
    return ("unreadable key", id(value))


_STOP: Final = ord(".")
_INSTRUCTIONS: Final[dict[int, Callable[[_Machine], object]]] = {
    0x80: lambda it: it.take(1),  # the protocol's number
    ord("("): _Machine.mark,
    ord("0"): _Machine.drop,
    ord("1"): _Machine.since_mark,
    ord("2"): lambda it: it.push(it.stack[-1]),
    ord("N"): lambda it: it.push(None),
    0x88: lambda it: it.push(True),
    0x89: lambda it: it.push(False),
    ord("K"): lambda it: it.stack.append(it.byte()),
    ord("M"): lambda it: it.push(it.number("<H", 2)),
    ord("J"): lambda it: it.push(it.number("<i", 4)),
    0x8A: lambda it: it.push(decode_long(it.take(it.byte()))),
    ord("G"): lambda it: it.push(it.number(">d", 8)),
    ord("X"): lambda it: it.push(it.take(it.count()).decode("utf-8", "surrogatepass")),
    ord("U"): lambda it: it.push(it.take(it.byte()).decode("latin1")),
    ord(")"): lambda it: it.push(()),
    ord("]"): lambda it: it.push([]),
    ord("}"): lambda it: it.push({}),
    ord("t"): lambda it: it.push(tuple(it.since_mark())),
    0x85: lambda it: it.push(tuple(it.pop(1))),
    0x86: lambda it: it.push(tuple(it.pop(2))),
    0x87: lambda it: it.push(tuple(it.pop(3))),
    ord("a"): lambda it: it.append(it.pop(1)),
    ord("e"): lambda it: it.append(it.since_mark()),
    ord("s"): lambda it: it.put(it.pop(2)),
    ord("u"): lambda it: it.put(it.since_mark()),
    ord("q"): lambda it: it.remember(it.byte()),
    ord("r"): lambda it: it.remember(it.count()),
    ord("h"): lambda it: it.stack.append(it.memo[it.byte()]),
    ord("j"): lambda it: it.stack.append(it.memo[it.count()]),
    ord("c"): _Machine.named,
    ord("R"): _Machine.called,
    0x81: _Machine.called,  # a new object, made of its class and arguments
    ord("Q"): _Machine.stored,
    ord("b"): _Machine.built,
}

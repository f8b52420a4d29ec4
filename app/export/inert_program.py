"""Whether an exported program can be loaded without running anything that stands in its file.

`torch.export.load` unpickles whatever it finds, calls any function of torch that a program names, and evaluates its
sizes as Python. The programs that are exported here need none of that: tensors are stored as bare bytes, functions
are operators, and sizes are made of symbols. Whatever is more is refused. Nothing here imports torch.
"""

import ast
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from app.checkpoints.archive import damage
from app.export.contents import ExportedModelError
from app.schemas.problems import first_line, show

_PARTS: Final = re.compile(
    r"[^/]+/(data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|data/sample_inputs/model\.pt|models/model\.json|extra/\w+"
    r"|archive_format|archive_version|\.data/version|byteorder|\.data/serialization_id)"
)
_OPERATORS: Final = re.compile(
    r"torch\.ops\.(aten|prims)\.\w+\.\w+"
    r"|torch\.ops\.higher_order\.(wrap_with_autocast|wrap_with_set_grad_enabled|cond|scan|while_loop)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|eq|ne|lt|le|gt|ge|and_|or_|not_|getitem)"
    r"|torch\.sym_(int|float|max|min|not|sqrt|ite)|math\.(ceil|floor|trunc)"
)
_FILES: Final = re.compile(r"torch\.ops\.aten\.(from_file|save|load)\b.*")
_SIZES: Final = re.compile(
    "Symbol|Integer|Rational|Float|Add|Mul|Pow|Mod|Max|Min|floor|ceiling|And|Or|Not|Eq|Ne|Lt|Le|Gt|Ge|Equality"
    "|Unequality|StrictLessThan|LessThan|StrictGreaterThan|GreaterThan|FloorDiv|ModularIndexing|PythonMod|CleanDiv"
    "|CeilDiv|CeilToInt|FloorToInt|IntTrueDiv|FloatTrueDiv|PowByNatural|FloatPow|ToFloat"
)
_NODES: Final = (ast.Expression, ast.Call, ast.Name, ast.Load, ast.Constant, ast.keyword, ast.UnaryOp, ast.USub)


def refuse_what_would_run(file: BinaryIO, path: str) -> None:
    """Refuse a file that holds more than tensors and the operators between them.

    Raises:
        ExportedModelError: when it does, or a bit of it is not as it was written.
    """
    if found := damage(file):
        raise ExportedModelError(path, f"is damaged: {found}")
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            # Torch would take the one, and who reads the archive otherwise the other.
            reason = next(_suspicious_parts(names), None) or next(_in_archive(archive, names), None)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ExportedModelError(path, f"is no program that can be read: {first_line(error)}") from error
    finally:
        file.seek(0)
    if reason is not None:
        raise ExportedModelError(path, f"is not loaded, since it could run code: {reason}")


def _suspicious_parts(names: list[str]) -> Iterator[str]:
    for name in names:
        if not _PARTS.fullmatch(name):
            yield f"it has a part {show(name)}"
    if len(names) != len(set(names)):
        yield "it has two parts of one name"


def _in_archive(archive: zipfile.ZipFile, names: list[str]) -> Iterator[str]:
    for name in names:
        if name.endswith("_config.json"):
            for tensor, stored in json.loads(archive.read(name))["config"].items():
                if stored["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", stored["path_name"]):
                    yield f"{show(tensor)} is stored as a pickle"
        elif name.endswith("sample_inputs/model.pt") and archive.getinfo(name).file_size:
            yield "it has a pickle of sample inputs"
        elif name.endswith("models/model.json"):
            yield from _in_program(json.loads(archive.read(name)))


def _in_program(program: dict[str, Any]) -> Iterator[str]:
    if program.get("guards_code"):
        yield "it has conditions that are written in Python"
    nodes: list[Any] = [program]
    while nodes:
        node = nodes.pop()
        if isinstance(node, list):
            nodes += node
        if not isinstance(node, dict):
            continue
        nodes += node.values()
        target, size = node.get("target", "_operator.add"), node.get("expr_str", "0")
        # In other places, a target is the name of a weight.
        if "inputs" in node and (not _OPERATORS.fullmatch(str(target)) or _FILES.fullmatch(str(target))):
            yield f"it calls {show(target)}"
        if not isinstance(size, str) or not _is_size(size):
            yield f"it has a size {show(size)}"


def _is_size(text: str) -> bool:
    """Whether a text is made of symbols, numbers and the arithmetic between them, as sympy writes it."""
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        return False
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            return False
        # A text within would be evaluated in turn, except where it is a symbol's name.
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not re.fullmatch(r"\w+", node.value):
            return False
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and _SIZES.fullmatch(node.func.id)):
            return False
    return True

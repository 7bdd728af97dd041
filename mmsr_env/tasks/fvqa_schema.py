"""What a parquet file of FVQA's form must have: its columns and their types. Imports pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import types

from mmsr_env.errors import TaskDataError

Check = Callable[[pa.DataType], bool]


def check_schema(schema: pa.Schema, file: str) -> list[str]:
    """The columns to be read.

    Raises:
        TaskDataError: A column is missing or has another type; all that are, are named.
    """
    present = set(schema.names)
    wrong = [f"{name} is missing" for name in _REQUIRED if name not in present]
    checks = {**_REQUIRED, **_OPTIONAL}
    kept = [name for name in checks if name in present]
    for name in kept:
        expected, fits = checks[name]
        if not fits(schema.field(name).type):
            wrong.append(f"{name} should be {expected} but is {schema.field(name).type}")
    if wrong:
        raise TaskDataError(f"{file} is not in FVQA's form: {'; '.join(wrong)}")
    return kept


def _text(type_: pa.DataType) -> bool:
    if types.is_dictionary(type_):
        return _text(type_.value_type)
    return bool(
        types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_)
    )


def _text_or_null(type_: pa.DataType) -> bool:
    return _text(type_) or bool(types.is_null(type_))


def _bytes(type_: pa.DataType) -> bool:
    return bool(
        types.is_binary(type_) or types.is_large_binary(type_) or types.is_binary_view(type_)
    )


def _list(item: Check) -> Check:
    def fits(type_: pa.DataType) -> bool:
        listed = (
            types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_)
        )
        return bool(listed) and item(type_.value_type)

    return fits


def _struct(**needed: Check) -> Check:
    def fits(type_: pa.DataType) -> bool:
        if not types.is_struct(type_):
            return False
        has = {field.name: field.type for field in type_}
        return all(name in has and check(has[name]) for name, check in needed.items())

    return fits


def _reward_model(type_: pa.DataType) -> bool:
    if not _struct(ground_truth=_text)(type_):
        return False
    others = {field.name: field.type for field in type_}.get("candidate_answers", pa.null())
    return _text_or_null(others) or _list(_text_or_null)(others)


def _anything(type_: pa.DataType) -> bool:
    del type_
    return True


_REQUIRED: Mapping[str, tuple[str, Check]] = MappingProxyType(
    {
        "data_id": ("text", _text),
        "prompt": ("a list of {content, role}", _list(_struct(content=_text, role=_text))),
        "images": ("a list of {bytes}", _list(_struct(bytes=_bytes))),
        "reward_model": ("{ground_truth, candidate_answers}", _reward_model),
    }
)
_OPTIONAL: Mapping[str, tuple[str, Check]] = MappingProxyType(
    {
        "data_source": ("text", _text_or_null),
        "category": ("text", _text_or_null),
        "kind": ("text", _text_or_null),
        "entity": ("text", _text_or_null),
        "image_urls": ("anything", _anything),
    }
)

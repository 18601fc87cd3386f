"""Training recipes: small TOML files, one for each network of the papers in `papers/`, and overrides of any setting.

A recipe's keys are the fields of `TrainConfig`; the tables `options`, `loss` and `augment` hold those of the network,
`LossConfig` and `AugmentConfig`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from edgedepth.core.errors import InputError, UnknownNameError, require
from edgedepth.trainers.config import AugmentConfig, LossConfig, TrainConfig
from edgedepth.trainers.start import CONFIG_NAME

Settings = dict[str, Any]
_TABLES: Mapping[str, type] = {"loss": LossConfig, "augment": AugmentConfig}


def recipe_names() -> tuple[str, ...]:
    """The recipes that come with the package, as `papers/4`."""
    folder = files("edgedepth.trainers") / "papers"
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".toml"))
    return tuple(f"papers/{name.removesuffix('.toml')}" for name in names)


def is_recipe(name: str) -> bool:
    """Whether a name means a recipe rather than a network: `papers/...` or a TOML file."""
    return name.endswith(".toml") or name.startswith("papers/")


def read_recipe(name: str) -> Settings:
    """The settings of a recipe, by its name (`papers/4`) or its file.

    Raises:
        UnknownNameError: there is no such recipe; the message lists the known ones.
        InputError: the file is missing or not TOML.
    """
    if not name.endswith(".toml"):
        if name not in recipe_names():
            raise UnknownNameError.of("recipe", name, recipe_names())
        text = (files("edgedepth.trainers") / f"{name}.toml").read_text("utf-8")
        return _parse(text, name)
    try:
        return _parse(Path(name).read_text("utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the recipe {name}: {error}") from None


def _parse(text: str, name: str) -> Settings:
    if sys.version_info >= (3, 11):
        import tomllib as toml
    else:
        toml = require("tomli", extra="train")
    try:
        settings: Settings = toml.loads(text)
    except toml.TOMLDecodeError as error:
        raise InputError(f"the recipe {name} is not TOML: {error}") from None
    return settings


def settings_of_run(out: Path, network: str) -> Settings:
    """The settings that the run in `out` was begun or last resumed with; none where there is no run.

    Raises:
        InputError: it is a run of another network, or its config.json cannot be read.
    """
    path = out / CONFIG_NAME
    if not path.is_file():
        return {}
    try:
        stored: Settings = json.loads(path.read_text("utf-8"))
        begun = stored.get("network")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"cannot read {path}, the settings of the run to go on with: {error}") from None
    if begun != network:
        raise InputError(f"{out} holds a run of {begun}, but {network} is to be resumed; choose its folder with --out")
    known = {field.name for field in dataclasses.fields(TrainConfig)} - {"resume", "deadline"}
    return {name: value for name, value in stored.items() if name in known}


def merged(earlier: Settings, later: Settings) -> Settings:
    """Settings with others put over them, tables entry by entry; a budget is taken over whole."""
    base = dict(earlier)
    if later.get("minutes") is not None or later.get("epochs") is not None:
        base |= {"minutes": None, "epochs": None}
    tables = {
        name: {**base[name], **later[name]}
        for name in (*_TABLES, "options")
        if isinstance(base.get(name), Mapping) and isinstance(later.get(name), Mapping)
    }
    return {**base, **later, **tables}


def with_overrides(settings: Mapping[str, Any], overrides: Sequence[str]) -> Settings:
    """Settings with `KEY=VALUE` lines put over them; a key is `batch`, `loss.gradient` or `options.stack`.

    A value is JSON where it can be read as such (8, true, [64, 48], null), else text.

    Raises:
        InputError: a line is not of this form.
    """
    result: Settings = {key: dict(value) if isinstance(value, Mapping) else value for key, value in settings.items()}
    for line in overrides:
        key, equals, text = line.partition("=")
        table, dot, inner = key.partition(".")
        if not equals or not key or (dot and (not inner or table not in (*_TABLES, "options"))):
            raise InputError(
                f"a setting is written KEY=VALUE, for example batch=8 or loss.gradient=0.2, but got {line!r}"
            )
        try:
            value: Any = json.loads(text)
        except json.JSONDecodeError:
            value = text
        if dot:
            result.setdefault(table, {})[inner] = value
        else:
            result[key] = value
    return result


def config_from(settings: Mapping[str, Any]) -> TrainConfig:
    """The configuration that settings make.

    Raises:
        UnknownNameError: a key is no setting.
        InputError: a value cannot be, or network, data, folder or budget are missing.
    """
    values: Settings = {"data": (), **settings}
    _check_keys("training", TrainConfig, values)
    for name, kind in _TABLES.items():
        if name in values:
            _check_keys(name, kind, values[name])
    if "network" not in values:
        raise InputError('a recipe must name its network, for example network = "drnet"')
    if isinstance(values["data"], str):
        values["data"] = (values["data"],)
    try:
        return TypeAdapter(TrainConfig).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"the setting {where} is of the wrong kind: {first['msg']}, but got {first['input']!r}"
        ) from None


def _check_keys(what: str, kind: type, values: Any) -> None:
    if not isinstance(values, Mapping) and not isinstance(values, kind):
        raise InputError(f"{what} must be a table of settings, but got {values!r}")
    known = [field.name for field in dataclasses.fields(kind)]
    for key in values if isinstance(values, Mapping) else ():
        if key not in known:
            raise UnknownNameError.of(f"setting of {what}", key, known)

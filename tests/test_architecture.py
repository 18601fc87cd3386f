"""The house's rules: who may import whom, and how little `import edgedepth` costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = None

ROOT = Path(__file__).parent.parent
PYPROJECT = ROOT / "pyproject.toml"

# package -> (packages of ours it may import, heavy packages it may import)
RULES: dict[str, tuple[set[str], set[str]]] = {
    "core": (set(), {"pydantic", "cv2"}),
    "io": ({"core"}, {"cv2", "av"}),
    "datasets": ({"core", "io"}, {"cv2", "h5py"}),
    "world": ({"core"}, {"cv2", "warp"}),
    "evaluation": ({"core", "datasets", "io"}, {"cv2", "matplotlib"}),
    "engines": ({"core"}, {"onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "pycuda", "cuda", "pydantic"}),
    "runtime": ({"core", "io", "engines"}, {"cv2"}),
    "trainers": (
        {"core", "datasets", "world", "evaluation"},
        {"torch", "timm", "lightning", "safetensors", "cv2", "rich", "pydantic"},
    ),
    "export": (
        {"core", "io", "evaluation", "engines", "trainers"},
        {"torch", "onnx", "onnxsim", "onnxruntime", "cv2"},
    ),
    "calibration": (
        {"core", "io", "datasets", "world", "evaluation", "engines", "runtime", "export"},
        {"onnx", "cv2", "matplotlib"},
    ),
    "cli": (
        {
            "core",
            "io",
            "datasets",
            "world",
            "evaluation",
            "engines",
            "runtime",
            "trainers",
            "export",
            "calibration",
            "deployment",
        },
        {"typer", "rich", "cv2"},
    ),
}
HEAVY = {
    "torch", "timm", "lightning", "onnx", "onnxsim", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "pycuda",
    "cuda", "cv2", "av", "pydantic", "warp", "matplotlib", "h5py", "typer", "rich", "safetensors",
}  # fmt: skip
# Backends are the only files that may import an engine, each its own.
BACKEND_OF_FOLDER = {
    "onnxruntime": {"onnxruntime"},
    "openvino": {"openvino"},
    "tensorrt": {"tensorrt", "tensorrt_rtx", "pycuda", "cuda"},
}


def _folders() -> dict[str, Path]:
    folders = {p.name: p for p in (ROOT / "toolkit").iterdir() if (p / "__init__.py").is_file()}
    return folders | {
        name: ROOT / name for name in ("calibration", "engines", "export", "trainers") if (ROOT / name).is_dir()
    }


def _imports(path: Path) -> set[str]:
    """Every module a file imports at run time: annotations-only imports under TYPE_CHECKING count too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def _files() -> list[tuple[str, Path]]:
    return [(name, path) for name, folder in sorted(_folders().items()) for path in sorted(folder.rglob("*.py"))]


@pytest.mark.parametrize(("package", "path"), _files(), ids=lambda value: getattr(value, "stem", value))
def test_imports_only_go_downhill(package: str, path: Path) -> None:
    if package == "assets":
        assert not _imports(path)
        return
    ours, heavy = RULES[package]
    for module in _imports(path):
        parts = module.split(".")
        if parts[0] == "edgedepth" and len(parts) > 1:
            assert parts[1] in ours | {package}, f"{path.relative_to(ROOT)} must not import {module}"
        elif parts[0] in HEAVY:
            assert parts[0] in heavy, f"{path.relative_to(ROOT)} must not import {module}"
        assert parts[0] not in {"toolkit", "engines", "export", "trainers", "calibration"}, f"{path}: {module}"


def test_each_engine_is_imported_only_by_its_backend() -> None:
    for path in (ROOT / "engines").rglob("*.py"):
        allowed = BACKEND_OF_FOLDER.get(path.parent.name, set())
        engines = {module.split(".")[0] for module in _imports(path)} & set().union(*BACKEND_OF_FOLDER.values())
        assert engines <= allowed, f"{path.relative_to(ROOT)} imports {engines - allowed}"


@pytest.mark.skipif(tomllib is None, reason="tomllib came with Python 3.11")
def test_package_list_names_every_folder_and_nothing_else() -> None:
    setuptools = tomllib.loads(PYPROJECT.read_text())["tool"]["setuptools"]
    mapping = setuptools["package-dir"]
    expected = {"edgedepth"}
    for package, folder in mapping.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            inside = init.parent.relative_to(ROOT / folder)
            expected.add(".".join([package, *inside.parts]))
    assert set(setuptools["packages"]) == expected


def _modules_after(code: str) -> set[str]:
    script = f"import sys; {code}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_edgedepth_loads_nothing_heavy() -> None:
    assert not _modules_after("import edgedepth") & HEAVY


def test_running_needs_neither_torch_nor_onnx() -> None:
    loaded = _modules_after("import edgedepth; edgedepth.DepthRuntime; import edgedepth.cli; edgedepth.cli.build_app()")
    assert not loaded & {"torch", "onnx", "onnxsim", "warp", "matplotlib"}


def test_public_names_exist() -> None:
    import edgedepth

    for name in edgedepth.__all__:
        assert getattr(edgedepth, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Depth'"):
        _ = edgedepth.Depth

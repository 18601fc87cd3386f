# Two commands for newcomers: `make demo` installs and runs the main job, `make test` installs and checks everything.
PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q $(PIP_ARGS) -c constraints.txt
CLIP := examples/walk.mp4
TYPED := .typing/edgedepth
OLDEST := $(VENV)-oldest
# What is tested with the oldest libraries as well: running a bundle, and building engines with TensorRT-RTX 1.4.
OLDER := $(patsubst %,tests/test_%.py,camera_files core_files exif geometry golden rectify runtime sinks sources \
  sources_live steady streaming tensorrt_build tensorrt_cache tensorrt_parts tensorrt_session upsampling)
$(foreach file,$(OLDER),$(if $(wildcard $(file)),,$(error OLDER names $(file), which is not there)))

.PHONY: help demo test lint types unit recipe sweep clean

help:
	@echo "make demo   install into $(VENV), run depth on $(CLIP), say where the results are"
	@echo "make test   install the development tools, then lint, types and tests (what CI runs)"
	@echo "make sweep  every network through onnxruntime, OpenVINO, TensorRT-RTX 1.7 and 1.4 (no GPU needed)"
	@echo "make recipe render the world and train the default weights again (hours)"

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "edgedepth needs Python 3.10-3.13; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "this Python has no venv module; install it (Debian, Ubuntu: apt install python3-venv)"; rm -rf $(VENV); exit 1; }
	@touch $@

$(VENV)/.base: $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing edgedepth into $(VENV)"
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "installing the development tools into $(VENV)"
	@$(PIP) torch
	@$(PIP) -e '.[train,export,timm,world,bags,rtx,dev]'
	@touch $@

demo: $(VENV)/.base
	@$(BIN)/edgedepth run $(CLIP)

# Types are checked while the oldest libraries are installed.
test: $(VENV)/.dev
	@$(MAKE) --no-print-directory -j2 lint types unit

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

# mypy cannot see a package that is mapped from several folders, so it gets a tree of links.
$(TYPED): Makefile pyproject.toml
	@rm -rf .typing && mkdir -p $@
	@for name in $$(ls toolkit | grep -v __pycache__); do ln -s ../../toolkit/$$name $@/$$name; done
	@for name in calibration engines export trainers; do ln -s ../../$$name $@/$$name; done

types: $(VENV)/.dev $(TYPED)
	@MYPYPATH=.typing $(BIN)/mypy --explicit-package-bases $(TYPED)

unit: $(VENV)/.dev $(OLDEST)/.oldest
	@EDGEDEPTH_RTX14=$(OLDEST)/bin/python $(BIN)/python -m pytest -n auto --dist loadgroup
	@$(OLDEST)/bin/python -m pytest -n auto $(OLDER)

recipe: $(VENV)/.dev
	@$(BIN)/edgedepth train default -o runs/default
	@$(BIN)/python -m edgedepth.trainers.default.ship runs/default
	@$(BIN)/edgedepth export default --small --name default -o toolkit/assets/bundle

# TensorRT-RTX 1.4, which has TensorRT 10.16's API, cannot be installed beside 1.7: it gets an environment of its own, with
# the oldest NumPy and OpenCV that are supported.
$(OLDEST)/.oldest: $(VENV)/.python pyproject.toml constraints-oldest.txt
	@echo "installing the oldest supported libraries into $(OLDEST)"
	@$(PYTHON) -m venv $(OLDEST)
	@$(OLDEST)/bin/python -m pip install --disable-pip-version-check -q $(PIP_ARGS) -c constraints-oldest.txt \
	  -e . onnx pytest pytest-xdist tensorrt-rtx
	@touch $@

# Every network at its paper's size through onnxruntime, OpenVINO and both TensorRT-RTX; then the tables.
SWEEP := runs/sweep
sweep: $(VENV)/.dev $(OLDEST)/.oldest
	@$(BIN)/python benchmarks/tensorrt_sweep.py export $(SWEEP)
	@$(BIN)/python benchmarks/tensorrt_sweep.py run $(SWEEP)
	@$(BIN)/python benchmarks/tensorrt_sweep.py build $(SWEEP)
	@$(OLDEST)/bin/python benchmarks/tensorrt_sweep.py build $(SWEEP)
	@$(BIN)/python benchmarks/tensorrt_sweep.py report $(SWEEP) --write docs/benchmarks.md

clean:
	rm -rf $(VENV) $(OLDEST) .typing .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info

# Each target sets up what it needs in .venv: no other step before it.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALL = $(BIN)/pip install -q --disable-pip-version-check -c constraints.txt
DEPS = setup.cfg pyproject.toml constraints.txt

.PHONY: demo test check docs bench peers sparse clean

demo: $(VENV)/.demo
	$(BIN)/python examples/lightgcn_yelp.py --dataset online-retail \
	    --epochs 21 --batch-size 8192 --lr 0.01 --output runs/demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -q -W docs docs/_build

# YELP: a folder with the files of the RLMRec archive in its subfolder raw/
YELP ?= data/yelp
bench: $(VENV)/.test
	$(BIN)/python benchmarks/propagation.py
	$(BIN)/python benchmarks/evaluation.py --root $(YELP)
	$(BIN)/python benchmarks/steps.py --root $(YELP)
	$(BIN)/python benchmarks/backbones.py --root $(YELP) \
	    --output runs/backbones
	$(BIN)/python benchmarks/accuracy.py --output runs/accuracy --threads 1
	$(BIN)/python benchmarks/speed.py --root $(YELP) --output runs/speed.json
	$(BIN)/python benchmarks/scaling.py --output runs/scaling

# What benchmarks/speed.py compares with, in an environment of its own.
peers:
	benchmarks/peers/setup.sh .venv-peers

# torch-scatter and torch-sparse come as source: about ten minutes.
sparse: $(VENV)/.test
	$(INSTALL) --no-build-isolation -e .[sparse]

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/pip $(DEPS)
	$(INSTALL) -e .[viz]
	touch $@

$(VENV)/.test: $(VENV)/bin/pip $(DEPS)
	$(INSTALL) -e .[test]
	$(INSTALL) setuptools wheel ninja
	touch $@

$(VENV)/.docs: $(VENV)/bin/pip $(DEPS)
	$(INSTALL) -e .[docs]
	touch $@

clean:
	rm -rf $(VENV) build docs/_build runs *.egg-info

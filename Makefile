# One command each; see README.md. PYTHON=python3.11 chooses the interpreter of
# a new .venv, WORKERS=4 the number of processes that share the tests.
export PYTHON
WORKERS ?= 2
RUN = .venv/bin/python
# A file's tests share fixtures: they stay in one process.
PYTEST = OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) --dist loadfile

# Rooms of which at least 95 % must be run by the tests.
COVERED = functional faces formats metric_learning

.PHONY: help install doctor demo demo-retrieval gpu-check test coverage lint docs pictures clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/'

install:  ## make .venv with the tested stack and this package
	@bash requirements/install.sh

# Needs no installation: it says what is missing of one.
doctor:  ## what is installed, what is missing, and what to do
	@$$(test -x $(RUN) && echo $(RUN) || echo "$${PYTHON:-python3}") -m semamb_mm.doctor

demo: install  ## train, test and draw semantic alignment on generated faces
	@bash tools/demo.sh

demo-retrieval: install  ## train and test OSM/CAA on invented characters
	@bash tools/demo_retrieval.sh

gpu-check: install  ## what runs on the GPU here, and how fast; without one it says so
	@$(RUN) -m benchmarks.gpu_check

test: install  ## the whole test suite
	@$(PYTEST)

coverage: install  ## the test suite, and which lines it runs
	@$(PYTEST) --cov --cov-report=term:skip-covered
	@for room in $(COVERED); do echo "semamb_mm/$$room:"; \
		$(RUN) -m coverage report --fail-under=95 --skip-covered \
			--include="semamb_mm/$$room/*" || exit 1; done

lint: install  ## ruff (rules and format) and mypy
	@$(RUN) -m ruff check . && $(RUN) -m ruff format --check . && $(RUN) -m mypy

# Needs neither torch nor OpenMMLab: docstrings are read, not imported.
DOCS = .docs-venv

docs:  ## build the documentation site into .docs-site, warnings being errors
	@cmp -s requirements/docs.txt $(DOCS)/made-with || { \
		$${PYTHON:-python3} -m venv --clear $(DOCS) && \
		$(DOCS)/bin/python -m pip install -q --disable-pip-version-check \
			-r requirements/docs.txt && cp requirements/docs.txt $(DOCS)/made-with; }
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/python -m mkdocs build --strict
	@echo "Open .docs-site/index.html"

pictures: install  ## draw the docs' pictures anew from what make demo left
	@$(RUN) -m docs.pictures demo_output

clean:  ## remove the environment and everything made by demo and tests
	rm -rf .venv .docs-venv .docs-site demo_output demo_retrieval_output work_dirs build *.egg-info semamb_mm/.mim

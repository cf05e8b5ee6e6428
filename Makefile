# One command each; see README.md. PYTHON=python3.11 chooses the interpreter of
# a new .venv.
export PYTHON
RUN = .venv/bin/python

.PHONY: help install demo demo-retrieval test lint clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/'

install:  ## make .venv with the tested stack and this package
	@bash requirements/install.sh

demo: install  ## train, test and draw semantic alignment on generated faces
	@bash tools/demo.sh

demo-retrieval: install  ## train and test OSM/CAA on invented characters
	@bash tools/demo_retrieval.sh

test: install  ## the whole test suite
	@$(RUN) -m pytest

lint: install  ## ruff, check and format
	@$(RUN) -m ruff check . && $(RUN) -m ruff format --check .

clean:  ## remove the environment and everything made by demo and tests
	rm -rf .venv demo_output demo_retrieval_output work_dirs build *.egg-info semamb_mm/.mim

# The whole of it: `make start` to see it run, `make check test` before you hand something in.

PORT ?= 8000
# What of the tests to run, and how: PYTEST_ARGS="tests/unit -k retry" make test
PYTEST_ARGS ?=
# Which runs of killed schedulers, and how long: TICKS_ARGS="--stores sqlite --seconds 20" make ticks
TICKS_ARGS ?=
# What of the measurements to take, and how long: BENCH_ARGS="--help" make bench
BENCH_ARGS ?=
# How many stories `make sweep` plays, some hundred faults each.
SWEEP ?= 40
# How many of the last commits `make check` looks at.
COMMITS ?= 10
# What is released: VERSION=0.2.0 make release
VERSION ?=
# How many threads: WAGTAIL_ARGS="--threads 1" make wagtail
WAGTAIL_ARGS ?=
# Which part of the matrix to run: MATRIX_ARGS="--servers runserver,uvicorn --events TERM" make matrix
MATRIX_ARGS ?=
# tox looks for python3.x on the PATH; pyenv's are found as well, without its shims.
PYENV_ROOT ?= $(HOME)/.pyenv
space := $(subst ,, )
export TOX_DISCOVER ?= $(subst $(space),;,$(wildcard $(PYENV_ROOT)/versions/*/bin/python3))

MANAGE = .venv/bin/python testproject/manage.py
# On a build server every pair has to run; elsewhere those whose Python is here.
MISSING = $(if $(filter true,$(CI)),false,true)
comma := ,
PAIRS = $(if $(filter true,$(CI)),py311-django52$(comma)py312-django60$(comma)py313-django61,ALL)

.PHONY: help start test unit chaos sweep matrix ticks wagtail browser check lint types layers dead commits django docs wheel release format coverage bench bench-schedules bench-web clean

help:
	@echo "make start     the example shop with worker and scheduler on http://127.0.0.1:$(PORT)/ (PORT=...)"
	@echo "                 with its jobs on Redis: LOCO_QUEUE=redis REDIS_URL=redis://127.0.0.1:6379/0 make start"
	@echo "make test      all tests on every pair of Python and Django found here (PYTEST_ARGS=...)"
	@echo "make unit      the unit tests but the slow ones, on one Python, without servers: seconds (PYTEST_ARGS=...)"
	@echo "make chaos     more of the tests that kill workers, schedulers and Redis, on every durable queue: minutes"
	@echo "                 the same kills once more: LOCO_CHAOS_SEED=4711 make chaos"
	@echo "make sweep     each call to each store fails in turn, in many stories (SWEEP=100): minutes"
	@echo "make matrix    every command under every signal, kill and reload, as a table: minutes"
	@echo "make ticks     schedulers that are killed, on every store: which ticks were fired, as a table: minutes"
	@echo "make wagtail   pages of Wagtail's newest version, published in each mode on PostgreSQL: minutes"
	@echo "make browser   the admin's schedules by a real browser (apt-get install chromium)"
	@echo "make check     linters, types, import layers, dead code, migrations, Django's system checks, the documentation"
	@echo "make format    let ruff mend and format what it can"
	@echo "make coverage  all tests on one pair, and what none of them reaches: many minutes"
	@echo "make bench     measurements beside what else runs jobs in Python (BENCH_ARGS=--quick)"
	@echo "make bench-schedules  what 10,000 schedules cost, and 100 due every second"
	@echo "make bench-web what jobs in the same process cost a page's response times"
	@echo "make release   build what goes to PyPI, check it and tag it (VERSION=0.2.0 make release)"
	@echo "make clean     remove everything that these commands have made"

start: .venv/installed
	$(MANAGE) migrate --verbosity 0
	exec $(MANAGE) loco_start 127.0.0.1:$(PORT) --worker --scheduler

# The pairs run side by side: these tests wait for processes far more than they compute.
test: .venv/installed-dev
	.venv/bin/tox run-parallel --parallel all --parallel-no-spinner \
		-e $(PAIRS) --skip-missing-interpreters $(MISSING) -- $(PYTEST_ARGS)

unit: .venv/installed-dev
	LOCO_TEST_PARTS="quick-unit-1 quick-unit-2 quick-unit-3" PYTEST_ADDOPTS="$(PYTEST_ARGS)" .venv/bin/python -m tests.databases

chaos: .venv/installed-dev
	LOCO_CHAOS=10 LOCO_TEST_DATABASE=sqlite .venv/bin/pytest tests/acceptance/test_chaos.py --timeout 600 $(PYTEST_ARGS)
	LOCO_CHAOS=3 .venv/bin/pytest tests/acceptance/test_redis_chaos.py tests/acceptance/test_faults.py --timeout 600 $(PYTEST_ARGS)
	LOCO_CHAOS=10 LOCO_TEST_DATABASE=postgres .venv/bin/pytest tests/acceptance/test_chaos.py --timeout 600 $(PYTEST_ARGS)

sweep: .venv/installed-dev
	LOCO_SWEEP=$(SWEEP) .venv/bin/pytest -rP tests/integration/queues/test_sweep.py --timeout 3000 $(PYTEST_ARGS)
	LOCO_SWEEP=$(SWEEP) LOCO_TEST_DATABASE=postgres .venv/bin/pytest -rP tests/integration/queues/test_sweep.py \
		--timeout 3000 $(PYTEST_ARGS)

matrix: .venv/installed-dev
	.venv/bin/python -m tests.acceptance.matrix $(MATRIX_ARGS)

ticks: .venv/installed-dev
	.venv/bin/python -m tests.acceptance.ticks $(TICKS_ARGS)

wagtail: .venv/installed-dev .cache/wagtail/installed
	.venv/bin/python -m tests.acceptance.wagtail_site --python .cache/wagtail/bin/python $(WAGTAIL_ARGS)

browser: .venv/installed-dev
	.venv/bin/python -m pip install --quiet --editable '.[browser]'
	.venv/bin/pytest -rP tests/acceptance/scheduler/browser_schedules.py $(PYTEST_ARGS)

check: lint types layers dead django docs wheel commits

lint: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/installed-dev
	.venv/bin/mypy

layers: .venv/installed-dev
	.venv/bin/lint-imports --no-cache --no-logo

# Names that nothing uses; those that others look up are in [tool.vulture] of pyproject.toml.
dead: .venv/installed-dev
	.venv/bin/vulture

# The subjects of the last commits have at most 72 characters. A shallow clone has fewer commits; an archive has none.
commits:
	@! git log --no-merges --max-count=$(COMMITS) --format='%h %s' 2>/dev/null | grep -E '^[^ ]+ .{73}' \
		|| { echo "These subjects have more than 72 characters." >&2; exit 1; }

django: .venv/installed-dev
	DJANGO_SETTINGS_MODULE=tests.settings .venv/bin/python -m django makemigrations --check --dry-run
	DJANGO_SETTINGS_MODULE=tests.settings .venv/bin/python -m django check --fail-level WARNING
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) check --fail-level WARNING

docs: .venv/installed-dev
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict --site-dir .cache/site

format: .venv/installed-dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

coverage: .venv/installed-dev
	.venv/bin/tox run -e coverage -- $(PYTEST_ARGS)

bench: .venv/installed-dev
	.venv/bin/python benchmarks/run.py $(BENCH_ARGS)

bench-schedules: .venv/installed-dev
	.venv/bin/python -m benchmarks.schedules $(BENCH_ARGS)

bench-web: .venv/installed-dev
	.venv/bin/python -m benchmarks.web $(BENCH_ARGS)

# What is installed must be what is in the repository: a template or a script that the wheel lacks fails here.
wheel: .venv/installed-dev
	rm -rf .cache/wheel
	.venv/bin/python -m pip wheel --quiet --no-deps --wheel-dir .cache/wheel .
	.venv/bin/python -c 'import sys, zipfile; print(*zipfile.ZipFile(sys.argv[1]).namelist(), sep="\n")' \
		.cache/wheel/*.whl | grep ^django_loco/ | LC_ALL=C sort >.cache/wheel/shipped
	git ls-files --cached --others --exclude-standard django_loco | LC_ALL=C sort | diff - .cache/wheel/shipped

# See CONTRIBUTING.md. Nothing leaves this machine: the last lines say how it does.
release: check
	grep -qxF 'version = "$(VERSION)"' pyproject.toml || { echo "Set VERSION, here and in pyproject.toml." >&2; exit 1; }
	grep -qF '## [$(VERSION)] - ' CHANGELOG.md || { echo "CHANGELOG.md has no section '## [$(VERSION)] - date'." >&2; exit 1; }
	git diff --quiet HEAD || { echo "Commit first." >&2; exit 1; }
	.venv/bin/python -m pip install --quiet build twine
	rm -rf dist
	.venv/bin/python -m build --outdir dist .
	.venv/bin/twine check --strict dist/*
	git tag --annotate --message 'Version $(VERSION)' 'v$(VERSION)'
	@echo "Now: git push origin main v$(VERSION) && .venv/bin/twine upload dist/*"

clean:
	rm -rf .venv .tox .cache .coverage* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build

# On the newest Python found here, for Django 6 and later; each time with what PyPI has now.
.cache/wagtail/bin/python:
	$(or $(lastword $(sort $(wildcard $(PYENV_ROOT)/versions/3.1[2-9].*/bin/python3))),python3) -m venv .cache/wagtail

.PHONY: .cache/wagtail/installed
.cache/wagtail/installed: .cache/wagtail/bin/python
	.cache/wagtail/bin/python -m pip install --quiet --upgrade --editable '.[postgres]' wagtail

.venv/bin/python:
	sh .ci/venv

.venv/installed: pyproject.toml .venv/bin/python
	.venv/bin/python -m pip install --quiet --editable .
	touch $@

.venv/installed-dev: pyproject.toml .venv/bin/python
	.venv/bin/python -m pip install --quiet --editable '.[dev]'
	touch $@ .venv/installed

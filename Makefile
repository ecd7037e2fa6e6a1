# Thin: every target installs what it needs and calls the program, which can be called without make too.
STACK ?= dev
SHELL := bash
export PATH := $(CURDIR)/node_modules/.bin:$(CURDIR)/.tools/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help render generate test test-engine test-kubernetes test-prefect test-argo-cd test-monitoring test-mysql check bench bench-engine preview up recover sandbox kubernetes prefect argo-cd kinds

NODE_MODULES := node_modules/.package-lock.json
GO_TOOLS := .tools/bin/act
PYTHON_TOOLS := .tools/python.stamp
SANDBOX := sandbox/node_modules/.package-lock.json .tools/google-apis.stamp
KUBERNETES := .tools/kubernetes.stamp .tools/definitions.stamp
ARGO_CD := .tools/argo-cd.stamp
MYSQL := .tools/mysql.stamp

SCRIPTS = $(shell git ls-files --cached --others --exclude-standard -- '*.sh' ':!rendered')
WORKFLOWS = $(shell find rendered .github -path '*/workflows/*.y*ml')
COMPOSE_FILES = $(shell find rendered -name compose.yml)
# The machine's own Pulumi, else the pinned package's, which downloads one on first use.
PULUMI := $(firstword $(filter-out $(CURDIR)/%,$(shell type -ap pulumi)) node_modules/.bin/pulumi)

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

render: $(NODE_MODULES) ## What `pulumi up` would declare, offline: make render STACK=prod
	@node --import ./cli/start.mjs cli/render.ts --stack $(STACK)

test: $(NODE_MODULES) $(SANDBOX) $(GO_TOOLS) $(PYTHON_TOOLS) ## Every test that needs no engine
	mocha "test/**/*.test.ts" "sandbox/test/*.test.ts"

check: $(NODE_MODULES) $(SANDBOX) $(GO_TOOLS) $(PYTHON_TOOLS) ## Types, style, scripts, workflows
	node node_modules/typescript-7/bin/tsc
	biome check --error-on-warnings .
	ruff check
	ruff format --check
	shellcheck .ci/run $(SCRIPTS)
	actionlint $(WORKFLOWS)
	compose-check $(COMPOSE_FILES)
	zizmor --offline --no-progress --quiet $(WORKFLOWS)

test-engine: $(NODE_MODULES) $(SANDBOX) ## Every stack by the real engine in the sandbox (needs a pulumi on PATH)
	mocha --parallel --jobs 2 "test/engine/*.ts" "sandbox/test/real/*.ts"

test-kubernetes: $(NODE_MODULES) $(SANDBOX) $(KUBERNETES) ## Rendered objects, rollouts and rights in Kubernetes, by a real API server
	mocha "test/kubernetes/*.test-real.ts"

test-prefect: $(NODE_MODULES) $(SANDBOX) prefect ## The arcgis host by its compose file, with the real programs (Linux, as root)
	mocha "test/prefect/*.test-real.ts"

test-argo-cd: $(NODE_MODULES) $(SANDBOX) kubernetes argo-cd ## Applications and their projects, by a real Argo CD on the sandbox's Kubernetes
	mocha "test/argo-cd/*.test-real.ts"

test-monitoring: $(NODE_MODULES) ## Alerts and dashboards, by Prometheus' own tool
	mocha "test/monitoring/*.test-real.ts"

test-mysql: $(NODE_MODULES) $(SANDBOX) $(MYSQL) ## Backups of a database and their way back, with the real programs (Debian, as root)
	mocha "test/mysql/*.test-real.ts"

sandbox: $(NODE_MODULES) $(SANDBOX) ## A stack up by the real engine, without an account: make sandbox STACK=dev
	@node --import ./cli/start.mjs sandbox/main.ts --stack $(STACK)

kubernetes: $(KUBERNETES) ## A Kubernetes for the sandbox: some minutes of building, 2 GB

argo-cd: $(ARGO_CD) ## What test-argo-cd runs: ten minutes of building, 4 GB

prefect: $(PYTHON_TOOLS) ## What test-prefect runs: a quarter of an hour of building, 1.2 GB
	test/prefect/build.sh

bench: $(NODE_MODULES) ## Measure the render, and write it into docs/benchmarks.md
	node --import ./cli/start.mjs cli/bench.ts

bench-engine: $(NODE_MODULES) $(SANDBOX) ## Measure the engine in the sandbox, and write it there too
	node --import ./cli/start.mjs sandbox/bench/main.ts

preview up: $(NODE_MODULES) ## With the Pulumi engine: make preview STACK=dev
	$(PULUMI) $@ --stack $(STACK)

recover: $(NODE_MODULES) ## Finish an `up` that was cut off: make recover STACK=prod
	@node --import ./cli/start.mjs cli/recover.ts --stack $(STACK)

kinds: $(NODE_MODULES) .tools/definitions.stamp ## Write the types of others' kinds again, after another version of them
	node --import ./cli/start.mjs cli/kinds.ts

generate: $(NODE_MODULES) ## Write rendered/, the schemas and the render in README again
	npm run --silent generate

$(NODE_MODULES): package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

sandbox/node_modules/.package-lock.json: sandbox/package-lock.json
	npm ci --prefix sandbox --no-audit --no-fund
	@touch $@

# Google's descriptions of its APIs, which its Python library brings along.
.tools/google-apis.stamp: sandbox/google/apis.txt $(PYTHON_TOOLS)
	rm -rf .tools/google-apis
	.tools/python/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target .tools/google-apis -r $<
	@touch $@

# Linters and a workflow runner, pinned by test/tools' lock files.
$(GO_TOOLS): $(wildcard test/tools/go.* test/tools/compose-check/*)
	@command -v go >/dev/null || { echo "act, actionlint, kube-score and compose-check are built by Go, which is not on PATH: https://go.dev/doc/install" >&2; exit 1; }
	cd test/tools && GOFLAGS=-mod=readonly go build -o $(CURDIR)/.tools/bin/ github.com/nektos/act github.com/rhysd/actionlint/cmd/actionlint github.com/zegl/kube-score/cmd/kube-score
	cd test/tools/compose-check && GOFLAGS=-mod=readonly go build -o $(CURDIR)/.tools/bin/ .
	@touch $@

$(PYTHON_TOOLS): test/tools/requirements.txt
	python3 -m venv .tools/python
	.tools/python/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	mkdir -p .tools/bin && ln -sf ../python/bin/zizmor ../python/bin/shellcheck ../python/bin/ruff .tools/bin/
	@touch $@

.tools/kubernetes.stamp: $(wildcard sandbox/kubernetes/tools/*)
	sandbox/kubernetes/tools/build.sh
	@touch $@

# Apart from it: what stands in a cluster changes more often than what the cluster is built of.
.tools/definitions.stamp: $(wildcard sandbox/kubernetes/definitions/*)
	sandbox/kubernetes/definitions/get.sh
	@touch $@

$(ARGO_CD): $(shell find test/argo-cd/tools -type f)
	test/argo-cd/tools/build.sh
	@touch $@

$(MYSQL): $(wildcard test/mysql/tools/*)
	test/mysql/tools/build.sh
	@touch $@

# Thin: every target installs what it needs and calls the program, which can be called without make too.
STACK ?= dev
export PATH := $(CURDIR)/node_modules/.bin:$(CURDIR)/.tools/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help render test test-engine check bench preview up

NODE_MODULES := node_modules/.package-lock.json
GO_TOOLS := .tools/bin/act
PYTHON_TOOLS := .tools/python.stamp

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

render: $(NODE_MODULES) ## What `pulumi up` would declare, offline: make render STACK=prod
	@node cli/render.ts --stack $(STACK)

test: $(NODE_MODULES) $(GO_TOOLS) $(PYTHON_TOOLS) ## Every test that needs no engine
	mocha "test/**/*.test.ts"

check: $(NODE_MODULES) $(GO_TOOLS) $(PYTHON_TOOLS) ## Types, scripts, workflows, and that rendered/ is current
	node cli/check.ts

test-engine: $(NODE_MODULES) ## The render against the real engine's preview (needs a pulumi on PATH)
	mocha "test/engine/*.ts"

bench: $(NODE_MODULES) ## Measure, and write docs/benchmarks.md
	node cli/bench.ts

preview up: $(NODE_MODULES) ## With the Pulumi engine: make preview STACK=dev
	pulumi $@ --stack $(STACK)

$(NODE_MODULES): package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

# Linters and a workflow runner, pinned by test/tools' lock files.
$(GO_TOOLS): test/tools/go.mod test/tools/go.sum
	cd test/tools && GOFLAGS=-mod=readonly go build -o $(CURDIR)/.tools/bin/ github.com/nektos/act github.com/rhysd/actionlint/cmd/actionlint
	@touch $@

$(PYTHON_TOOLS): test/tools/requirements.txt
	python3 -m venv .tools/python
	.tools/python/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	mkdir -p .tools/bin && ln -sf ../python/bin/zizmor ../python/bin/shellcheck ../python/bin/ruff .tools/bin/
	@touch $@

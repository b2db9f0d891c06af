# Everything a newcomer needs: `make demo` shows the system at work, `make test` checks it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PARALLEL := --numprocesses auto --maxprocesses 4 --max-worker-restart 0 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help env demo serve benchmark check unit test lint format protos hooks

help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

env: $(VENV)/.installed ## Make the environment in .venv.

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

protos: env ## Lint the contract and generate the stubs under clients/portrait/v1.
	cd protos && ../$(BIN)/buf lint && ../$(BIN)/buf format --diff --exit-code
	rm -f clients/portrait/v1/*_pb2*
	$(BIN)/python -m grpc_tools.protoc --proto_path=protos --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
	  --python_out=clients --pyi_out=clients protos/portrait/v1/*.proto
	$(BIN)/python -m grpc_tools.protoc --proto_path=protos --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
	  --grpc_python_out=clients --mypy_grpc_out=clients protos/portrait/v1/*_service.proto
	$(BIN)/python clients/generate_aio.py && $(BIN)/ruff check --select I --fix --quiet clients/portrait/client/aio.py && \
	  $(BIN)/ruff format --quiet clients/portrait/client/aio.py

demo: env ## Logs to a served profile on public data; DATA=FOLDER for your own source.
	$(BIN)/python clients/demo/demo.py $(if $(DATA),--data $(DATA))

serve: env ## Serve the newest release of model_repository/; see `portrait serve --help`.
	$(BIN)/portrait serve

benchmark: env ## Run a benchmark, as NAME=quality ARGS=FOLDER; without NAME, list all.
	$(if $(NAME),$(BIN)/pip install --quiet --editable ".[$$($(BIN)/python -m benchmarks --extra $(NAME))]")
	$(BIN)/python -W ignore -m benchmarks $(NAME) $(ARGS)

check: lint unit ## Check a change within two minutes: format, style, types, imports, the contract, unit tests.

unit: env ## Run the unit tests but the slow ones, and the tests of names, prose and contract.
	$(BIN)/pytest tests/unit tests/contract -m "not slow" --quiet --hypothesis-profile quick $(PARALLEL) --dist worksteal

test: env ## Run all tests: unit, contract, integration (real Triton, real gRPC).
	$(BIN)/pytest $(PARALLEL)

lint: env ## Check format, style, types, imports and the contract.
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd protos && ../$(BIN)/buf lint

hooks: env ## Run the checks of .pre-commit-config.yaml before each commit from now on.
	$(BIN)/pre-commit install

format: env ## Format the code and fix what can be fixed.
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

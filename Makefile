# Everything a newcomer needs: `make demo` shows the system at work, `make test` checks it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORK ?= .benchmarks/$(notdir $(DATA))
APPLICATIONS := .benchmarks/applications
SOURCES := clients/portrait clients/demo features/portrait training/portrait export/portrait reporting/portrait server/portrait benchmarks docs/examples

.DEFAULT_GOAL := help
.PHONY: help env demo serve benchmark-audiences benchmark-explanations benchmark-profiles benchmark-quality benchmark-search benchmark-transfer benchmark-traits benchmark-tuning benchmark-serving test lint format protos

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

demo: env ## Logs to a served profile on public data; DATA=FOLDER for your own source.
	$(BIN)/python clients/demo/demo.py $(if $(DATA),--data $(DATA))

serve: env ## Serve the newest release of model_repository/; see `portrait serve --help`.
	$(BIN)/portrait serve

benchmark-audiences: env ## Audiences among a million shoppers, on REPOSITORY=FOLDER with a release that has traits.
	$(BIN)/pip install --quiet --editable '.[benchmarks-serving]'
	$(BIN)/python -W ignore -m benchmarks.audiences $(REPOSITORY)

benchmark-quality: env ## Portrait against its baselines on DATA=FOLDER, a source.
	$(BIN)/pip install --quiet --editable '.[benchmarks]'
	test -e $(WORK)/data/report.json || $(BIN)/portrait prepare $(DATA) $(WORK)/data
	test -e $(WORK)/run/model.pt || \
	  $(BIN)/portrait train $(WORK)/data $(WORK)/run --preset best $(if $(wildcard $(WORK)/run),--resume)
	$(BIN)/python -W ignore -m benchmarks.quality $(WORK)/data --refit $(WORK)/run --train-only $(WORK)/run/train-only

benchmark-search: env ## Personalised search on DATA=FOLDER, a source of searches and clicks.
	$(BIN)/pip install --quiet --editable '.[benchmarks]'
	test -e $(WORK)/data/report.json || $(BIN)/portrait prepare $(DATA) $(WORK)/data
	$(BIN)/python -W ignore -m benchmarks.search $(WORK)/data $(WORK)/windows

benchmark-transfer: env ## The next category, and what profiles tell of who shoppers are, on DATA=FOLDER, a source.
	$(BIN)/pip install --quiet --editable '.[benchmarks]'
	test -e $(WORK)/data/report.json || $(BIN)/portrait prepare $(DATA) $(WORK)/data
	test -e $(WORK)/quick/model.pt || $(BIN)/portrait train $(WORK)/data $(WORK)/quick --split time \
	  $(if $(wildcard $(WORK)/quick),--resume)
	test -e $(WORK)/concealed/model.pt || $(BIN)/portrait train $(WORK)/data $(WORK)/concealed --split time \
	  --conceal gender,age_band $(if $(wildcard $(WORK)/concealed),--resume)
	$(BIN)/python -W ignore -m benchmarks.transfer $(WORK)/data $(WORK)/quick --concealed $(WORK)/concealed

benchmark-explanations: env ## What explanations are worth, on DATA=FOLDER, a source, and SHOP=FOLDER, the source open-ecommerce.
	$(BIN)/pip install --quiet --editable '.[benchmarks]'
	test -e .benchmarks/explanations/first/data/report.json || \
	  $(BIN)/portrait prepare $(DATA) .benchmarks/explanations/first/data
	test -e .benchmarks/explanations/shop/data/report.json || \
	  $(BIN)/portrait prepare $(SHOP) .benchmarks/explanations/shop/data
	for set in first shop; do for seed in 0 1; do set -e; \
	  folder=.benchmarks/explanations/$$set; run=$$folder/$$(test $$seed = 0 && echo run || echo seed-1); \
	  test -e $$run/model.pt || $(BIN)/portrait train $$folder/data $$run --seed $$seed \
	    $$(test $$set = shop && echo --split time) $$(test -e $$run && echo --resume); done; done
	test -e .benchmarks/explanations/shop/run/traits.json || \
	  $(BIN)/portrait train-traits .benchmarks/explanations/shop/run docs/examples/traits/shop.toml --complete-until 2022-11-01
	$(BIN)/python -W ignore -m benchmarks.explanations .benchmarks/explanations/first .benchmarks/explanations/shop

benchmark-profiles: env ## The chances and labels of profiles, on DATA=FOLDER, a source: Open e-commerce.
	$(BIN)/pip install --quiet --editable '.[benchmarks]'
	test -e $(WORK)/data/report.json || $(BIN)/portrait prepare $(DATA) $(WORK)/data
	test -e $(WORK)/quick/model.pt || $(BIN)/portrait train $(WORK)/data $(WORK)/quick --split time \
	  $(if $(wildcard $(WORK)/quick),--resume)
	$(BIN)/python -W ignore -m benchmarks.profiles $(WORK)/data $(WORK)/quick --labels

benchmark-tuning: env ## Ways of fine-tuning the BERT, on DATA=FOLDER, a source.
	$(BIN)/pip install --quiet --editable '.[benchmarks]'
	test -e $(WORK)/data/report.json || $(BIN)/portrait prepare $(DATA) $(WORK)/data
	$(BIN)/python -W ignore -m benchmarks.tuning $(WORK)/data $(WORK)/tuning

benchmark-traits: env ## Traits on SHOP=FOLDER, the source open-ecommerce, and on complete-journey.
	$(BIN)/pip install --quiet --editable '.[benchmarks,demo]'
	test -e .benchmarks/traits/shop/report.json || $(BIN)/portrait prepare $(SHOP) .benchmarks/traits/shop
	test -e .benchmarks/traits/journey/report.json || \
	  $(BIN)/portrait prepare --source complete-journey .benchmarks/traits/journey
	for data in shop journey; do test -e .benchmarks/traits/$$data-run/model.pt || \
	  $(BIN)/portrait train .benchmarks/traits/$$data .benchmarks/traits/$$data-run --split time \
	    $$(test -e .benchmarks/traits/$$data-run && echo --resume) || exit; done
	$(BIN)/portrait train-traits .benchmarks/traits/shop-run docs/examples/traits/shop.toml --complete-until 2022-11-01
	$(BIN)/python -W ignore -m benchmarks.traits --shop .benchmarks/traits/shop-run \
	  --campaigns .benchmarks/traits/journey-run

.PHONY: benchmark-applications
benchmark-applications: env ## The six applications on complete-journey, SHOP=FOLDER (open-ecommerce), SEARCHES=FOLDER (bestbuy).
	$(BIN)/pip install --quiet --editable '.[benchmarks,demo]'
	test -e $(APPLICATIONS)/shop/report.json || $(BIN)/portrait prepare $(SHOP) $(APPLICATIONS)/shop
	test -e $(APPLICATIONS)/searches/report.json || $(BIN)/portrait prepare $(SEARCHES) $(APPLICATIONS)/searches
	test -e $(APPLICATIONS)/journey/report.json || \
	  $(BIN)/portrait prepare --source complete-journey $(APPLICATIONS)/journey
	for data in shop searches journey; do test -e $(APPLICATIONS)/$$data-run/model.pt || \
	  $(BIN)/portrait train $(APPLICATIONS)/$$data $(APPLICATIONS)/$$data-run --split time \
	    $$(test -e $(APPLICATIONS)/$$data-run && echo --resume) || exit; done
	cp docs/examples/applications/traits.toml $(APPLICATIONS)
	$(BIN)/python docs/examples/applications/draw_missed_instalments.py $(APPLICATIONS)/shop \
	  $(APPLICATIONS)/missed_instalments.parquet
	test -e $(APPLICATIONS)/shop-run/traits.pt || \
	  $(BIN)/portrait train-traits $(APPLICATIONS)/shop-run $(APPLICATIONS)/traits.toml --complete-until 2022-11-01
	for data in shop searches journey; do test -e $(APPLICATIONS)/$$data-repository/releases || \
	  $(BIN)/portrait export $(APPLICATIONS)/$$data-run --repository $(APPLICATIONS)/$$data-repository || exit; done
	for pair in recommendation:journey search:searches ads:journey service:searches audience:shop risk:shop; do \
	  data=$${pair#*:}; $(BIN)/python -W ignore -m benchmarks.applications $${pair%:*} --run $(APPLICATIONS)/$$data-run \
	    --repository $(APPLICATIONS)/$$data-repository --traits $(APPLICATIONS)/traits.toml \
	    --complete-until 2022-11-01 || exit; done

benchmark-serving: env ## All bars of serving, on REPOSITORY=FOLDER or a release made of DATA=FOLDER; ONLY=peers,fuzz.
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[benchmarks-serving]'
ifndef REPOSITORY
	test -e $(WORK)/data/report.json || $(BIN)/portrait prepare $(DATA) $(WORK)/data
	test -e $(WORK)/quick/model.pt || $(BIN)/portrait train $(WORK)/data $(WORK)/quick \
	  $(if $(wildcard $(WORK)/quick),--resume)
	test -e $(WORK)/repository/releases || $(BIN)/portrait export $(WORK)/quick --repository $(WORK)/repository
endif
	$(BIN)/python -W ignore -m benchmarks.serving $(or $(REPOSITORY),$(WORK)/repository) $(if $(ONLY),--only $(ONLY))

.PHONY: benchmark-chaos
benchmark-chaos: env ## Ten minutes of random faults under load, on REPOSITORY=FOLDER with a release.
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[benchmarks-serving]'
	$(BIN)/python -W ignore -m benchmarks.chaos $(REPOSITORY)

test: env ## Run all tests: unit, contract, integration (real Triton, real gRPC).
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --max-worker-restart 0 --dist loadfile

lint: env ## Check style, types, imports and the contract.
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports
	cd protos && ../$(BIN)/buf lint

format: env ## Put the code into the one style.
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# Every target makes what it needs: a fresh clone, python3 and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What an installation in place is made anew for: the C library is built by it.
BUILT := pyproject.toml img2dataset/imaging/native/CMakeLists.txt $(wildcard img2dataset/imaging/native/*.[ch])
# What that leaves beside the sources of the library.
LEFT := $(addprefix img2dataset/imaging/native/,libshrink.so .cmake .ninja_deps .ninja_log .skbuild-info.json \
    CMakeCache.txt CMakeFiles CMakeInit.txt cmake_install.cmake build.ninja Makefile)

# Tests start the program a thousand times: it is compiled once, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-slow test-lowest test-lowest-clusters test-lowest-optional test-newest test-frameworks contract fuzz fuzz-native differential lint format readme bench bench-quick bench-memory bench-feeding bench-fidelity bench-training clean

PYTHON_VERSION := $(shell $(PYTHON) -c 'import platform; print(platform.python_version())')

# An environment of another version of Python than is asked for is thrown away: none works after half a change.
$(VENV)/.python: FORCE
	@if test -L $(VENV)/bin/python && test "$(PYTHON_VERSION)" != \
	    "$$($(BIN)/python -c 'import platform; print(platform.python_version())' 2>&1)"; \
	then echo "making $(VENV) anew, for Python $(PYTHON_VERSION)"; rm -rf $(VENV); fi
	@mkdir -p $(VENV)
	@test -e $@ || touch -r pyproject.toml $@

.PHONY: FORCE
FORCE:

$(VENV)/.dev: $(BUILT) $(VENV)/.python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

$(VENV)/.base: $(BUILT) $(VENV)/.python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

demo: $(VENV)/.base
	$(BIN)/python examples/demo/run.py

# Most tests wait rather than compute: more processes than cores. The tests of a file share servers, so they stay
# together; in the order of the files, as those with few tests have the longest.
TEST_PROCESSES ?= 4
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/.dev $(VENV)/.slow
	$(BIN)/python -m pytest -m slow

# Clusters and stores of other makers for the slow tests; those that need npm, java or Slurm are skipped where it is
# missing.
$(VENV)/.slow: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet adlfs gcsfs gcp-storage-emulator paramiko \
	    'pyspark[connect]==4.3.0' 'pandas<3' 'ray[default]==2.60.0' wandb tensorboard \
	    mlflow-skinny
	if command -v npm >/dev/null; then npm install --silent --prefix $(VENV)/stores s3rver azurite; fi
	touch $@

# A small suite with the oldest packages that are allowed and with the newest, each in an environment of its own.
# The oldest have no builds for Python 3.13 and later.
SMALL_SUITE := tests/small tests/installation tests/options
TEST_PACKAGES := pytest pytest-timeout trustme
LOWEST := $(VENV)/lowest-$(PYTHON_VERSION)
NEWEST := $(VENV)/newest-$(PYTHON_VERSION)
test-lowest: $(LOWEST)/.done
	$(LOWEST)/bin/python -m pytest $(SMALL_SUITE)

test-newest: $(NEWEST)/.done
	$(NEWEST)/bin/python -m pytest $(SMALL_SUITE)

$(LOWEST)/.done: $(BUILT) tests/lowest.py
	$(PYTHON) -m venv --clear $(LOWEST)
	$(PYTHON) -m tests.lowest lmdb sign tfrecord > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/constraints.txt \
	    --editable '.[lmdb,sign,tfrecord]' $(TEST_PACKAGES)
	touch $@

$(NEWEST)/.done: $(BUILT)
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --upgrade --editable '.[lmdb,sign,tfrecord]' $(TEST_PACKAGES)
	touch $@

# The oldest that the training side, the readers of datasets and the sinks go with; some 6 GB.
OPTIONAL := lmdb mlflow readers tensorboard training wandb
LOWEST_OPTIONAL := $(VENV)/lowest-optional-$(PYTHON_VERSION)
test-lowest-optional: $(LOWEST_OPTIONAL)/.done
	$(LOWEST_OPTIONAL)/bin/python -m pytest -m 'slow or not slow' tests/training tests/reporting/sinks \
	    tests/formats/test_formats.py

$(LOWEST_OPTIONAL)/.done: $(BUILT) tests/lowest.py
	$(PYTHON) -m venv --clear $(LOWEST_OPTIONAL)
	$(PYTHON) -m tests.lowest $(OPTIONAL) > $(LOWEST_OPTIONAL)/constraints.txt
	$(LOWEST_OPTIONAL)/bin/python -m pip install --quiet --constraint $(LOWEST_OPTIONAL)/constraints.txt \
	    --editable ".[$$(echo $(OPTIONAL) | tr ' ' ,)]" $(TEST_PACKAGES) hypothesis 'setuptools>=77'
	touch $@

# The oldest Spark and Ray, with the oldest of all else. Needs Java 17.
LOWEST_CLUSTERS := $(VENV)/lowest-clusters-$(PYTHON_VERSION)
test-lowest-clusters: $(LOWEST_CLUSTERS)/.done
	$(LOWEST_CLUSTERS)/bin/python -m pytest -m 'slow or not slow' $(addprefix tests/distributing/,\
	    test_engines.py test_losses.py)

$(LOWEST_CLUSTERS)/.done: $(BUILT) tests/lowest.py
	$(PYTHON) -m venv --clear $(LOWEST_CLUSTERS)
	$(PYTHON) -m tests.lowest spark ray > $(LOWEST_CLUSTERS)/constraints.txt
	$(LOWEST_CLUSTERS)/bin/python -m pip install --quiet --constraint $(LOWEST_CLUSTERS)/constraints.txt \
	    --editable '.[spark,ray]' $(TEST_PACKAGES) 'setuptools>=77'
	touch $@

# The examples of frameworks, each in an environment of its own: some 6 GB with the PyTorch of CPUs alone, much more with others.
FRAMEWORKS := torchdata lightning diffusers torchtune diffsynth
PACKAGES_torchdata := torchdata
PACKAGES_lightning := lightning
PACKAGES_diffusers := diffusers accelerate
# torchtune needs what later releases of torchao have moved.
PACKAGES_torchtune := torchtune torchao==0.13.0 torchvision
PACKAGES_diffsynth := diffsynth
test-frameworks: $(VENV)/.dev $(FRAMEWORKS:%=$(VENV)/frameworks/%/.done)
	$(BIN)/python -m pytest -m slow tests/frameworks

$(VENV)/frameworks/%/.done: $(BUILT)
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --editable '.[training]' $(PACKAGES_$*)
	touch $@

# What strangers send, made up by libFuzzer: FUZZ_SECONDS for each fuzzer, or for those named in FUZZ only.
# atheris has builds for some versions of Python only, so it is no part of the dev packages.
FUZZ_SECONDS ?= 120
FUZZ_VENV := .venv/fuzz
fuzz: $(FUZZ_VENV)/.done
	$(FUZZ_VENV)/bin/python -m tests.fuzzing.run --seconds $(FUZZ_SECONDS) $(FUZZ)

$(FUZZ_VENV)/.done: $(BUILT)
	$(PYTHON) -m venv $(FUZZ_VENV)
	$(FUZZ_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(FUZZ_VENV)/bin/python -m pip install --quiet --editable '.[fuzz]'
	touch $@

# What strangers send to the library that is written in C, built with AddressSanitizer and UBSan, by libFuzzer; needs
# clang.
fuzz-native: $(VENV)/.dev
	$(BIN)/python -m tests.fuzzing.native --seconds $(FUZZ_SECONDS)

# Both programs over the same lists, compared; about 15 minutes on two cores, 3 GB of environments.
# To leave out tfrecord, or run some cases only: make differential CASES='--without_tensorflow --only exif'
differential: $(VENV)/.dev
	$(BIN)/python -m tests.differential.run $(CASES)

# Every call of the table through 1.47.0 and through this checkout; about fifteen minutes on two busy cores.
contract: $(VENV)/.dev
	$(BIN)/python -m tests.differential.calls

bench-fidelity: $(VENV)/.dev
	$(BIN)/python -m benchmarks.fidelity

bench-training: $(VENV)/.dev
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.loaders

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

readme: $(VENV)/.dev
	$(BIN)/python -m img2dataset.options.readme README.md
	@(head -6 docs/failures.md; $(BIN)/python -c "from img2dataset.failures import table; print(table())") \
	    > docs/failures.new && mv docs/failures.new docs/failures.md
	@$(BIN)/python -m tests.fetching.hosts.simulation > docs/host-states.new \
	    && mv docs/host-states.new docs/host-states.md

# About 40 minutes on two cores, on a machine that does nothing else.
bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.run

bench-quick: $(VENV)/.dev
	$(BIN)/python -m benchmarks.run --quick

bench-memory: $(VENV)/.dev
	$(BIN)/python -m benchmarks.memory

bench-feeding: $(VENV)/.dev
	$(BIN)/python -m benchmarks.feeding

.PHONY: soak hostile faults

# 300,000 rows against servers that misbehave, runs and workers killed; half an hour and more.
soak: $(VENV)/.dev
	$(BIN)/python -m tests.reliability.soak

# The memory a hostile list costs, this program beside 1.47.0; about five minutes, and up to 12 GB for 1.47.0.
hostile: $(VENV)/.dev
	$(BIN)/python -m tests.reliability.hostile

# Every fault, this program beside 1.47.0, as a table; ten minutes on two busy cores. As root, full disks too.
faults: $(VENV)/.dev
	$(BIN)/python -m tests.reliability.faults

clean:
	rm -rf $(VENV) demo_output build *.egg-info $(LEFT)

# SPDX-License-Identifier: Apache-2.0
#
# One command each. Meson and ninja do the work; `make help` lists what there is.

# gcc builds in build/, another compiler in a folder of its own: `make CC=clang` in build-clang/.
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build$(if $(filter gcc cc,$(CC)),,-$(notdir $(firstword $(CC))))
PREFIX ?= /usr/local
export CC

.PHONY: all program run test sim lint bench fmt fuzz scenarios install clean help

all: $(BUILD)/build.ninja ## build the program: build/weft
	@ninja -C $(BUILD)

# Without what tests and benchmarks need.
program: $(BUILD)/build.ninja
	@ninja -C $(BUILD) weft

$(BUILD)/build.ninja:
	@meson setup $(BUILD) $(MESONFLAGS)

# The unit tests are part of a build only from here on, so that the program needs no cmocka.
$(BUILD)/.tests: $(BUILD)/build.ninja
	@meson configure $(BUILD) -Dtests=enabled && touch $@

run: ## install what is missing, build, run the example workflow and show its report
	@scripts/deps run
	@$(MAKE) --no-print-directory program
	@$(BUILD)/weft run examples/etl/etl.yaml
	@cat examples/etl/out/report.txt

test: ## install what is missing, build, and run all tests
	@scripts/deps test
	@$(MAKE) --no-print-directory $(BUILD)/.tests all
	@test/run --build $(BUILD) $(TESTS)

sim: ## simulate on all cores until Ctrl-C; SEED=7 from that one on, RUNS=1 so many, PROFILE=storm
	@scripts/deps run
	@$(MAKE) --no-print-directory program
	@$(BUILD)/weft sim --profile $(or $(PROFILE),all) --seed $(or $(SEED),1) --runs $(or $(RUNS),1000000000)

lint: ## check format, layers, symbols, words, and what clang-tidy and cppcheck find
	@scripts/deps lint
	@$(MAKE) --no-print-directory $(BUILD)/.tests all
	@scripts/lint $(BUILD)

bench: ## install what is missing, build, and measure beside the limits and the peers
	@scripts/deps test
	@$(MAKE) --no-print-directory all
	@bench/run $(BUILD)

fmt: ## format the C code
	@find $(wildcard src test bench fuzz examples) -name '*.[ch]' -exec clang-format -i {} +

fuzz: ## feed every decoder with made-up bytes, FUZZ_SECONDS (60) each
	@scripts/deps lint
	@scripts/fuzz

scenarios: ## compare test/scenarios.tsv and test/scars.tsv with the last test run
	@scripts/scenarios $(BUILD)/test-results.tsv

install: $(BUILD)/build.ninja ## install into PREFIX (/usr/local) below DESTDIR
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@ninja -C $(BUILD)
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

clean: ## delete what was built
	rm -rf build build-*

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

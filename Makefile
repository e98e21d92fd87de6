# SPDX-License-Identifier: Apache-2.0
#
# One command each. Meson and ninja do the work; `make help` lists what there is.

# The default compiler builds into build/, any other into a folder of its own: `make CC=clang`.
ifeq ($(origin CC),default)
BUILD ?= build
else
BUILD ?= build-$(notdir $(CC))
export CC
endif
NINJA = ninja -C $(BUILD)

.PHONY: all
all: $(BUILD)/build.ninja ## build the program: build/weft
	@$(NINJA)

$(BUILD)/build.ninja:
	@meson setup $(BUILD) $(MESONFLAGS)

.PHONY: clean
clean: ## delete what was built
	rm -rf build build-*

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

# weir: one Makefile, not recursive. `make help` lists the targets.

CC     ?= cc
CSTD   := -std=c11 -D_GNU_SOURCE -I. -include base/banned.h
WARN   := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
          -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wundef \
          -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference -Wformat=2 \
          -Wno-unknown-warning-option -Wno-format-truncation
CFLAGS ?= -O2 -g -fno-common -fstack-protector-strong -D_FORTIFY_SOURCE=2
BUILD  ?= build
comma  := ,
ifdef SAN
BUILD   := build/$(subst $(comma),+,$(SAN))
CFLAGS  := -O1 -g -fno-common -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=all
LDFLAGS += -fsanitize=$(SAN)
endif
ifdef WERROR
WARN += -Werror
endif
# A compiler cache is used when the machine has one.
CCACHE := $(shell command -v ccache 2>/dev/null)
Q := $(if $(V),,@)

PACKAGES := libgit2 yaml-0.1 jansson sqlite3 libcurl libmicrohttpd libcrypto libpcre2-8 libarchive libzstd
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lunistring -lpthread -lm

# Folders of the library, in the order of the layers.
FOLDERS := base core core/expr core/jq agent reconciler runtime runtime/engine runtime/scheduler \
           runtime/store runtime/driver runtime/worker runtime/tasks runtime/triggers \
           runtime/runners runtime/storage runtime/secrets runtime/api
LIB_SRC  := $(sort $(wildcard $(addsuffix /*.c,$(FOLDERS))))
CLI_SRC  := $(sort $(wildcard cli/*.c))
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
CLI_OBJ  := $(CLI_SRC:%.c=$(BUILD)/%.o)
CLI_LIB_OBJ := $(filter-out $(BUILD)/cli/main.o,$(CLI_OBJ))
SUPPORT_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/support/*.c)))
UNIT_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/unit/*.c)))
SUITE_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/conformance/*.c)))

all: $(BUILD)/weir ## Build the program

help: ## Show this list
	@grep -hE '^[a-z][a-zA-Z0-9_-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | \
	  awk -F'\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CCACHE) $(CC) $(CSTD) $(PKG_CFLAGS) $(CFLAGS) $(WARN) -MMD -MP -c $< -o $@

$(BUILD)/libweir.a: $(LIB_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/weir: $(CLI_OBJ) $(BUILD)/libweir.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/unit: $(UNIT_OBJ) $(SUPPORT_OBJ) $(BUILD)/libweir.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(PKG_LIBS)

$(BUILD)/suites: $(SUITE_OBJ) $(SUPPORT_OBJ) $(BUILD)/libweir.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(PKG_LIBS)

FAULT_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/faults/*.c)))
$(BUILD)/faults: $(FAULT_OBJ) $(SUPPORT_OBJ) $(BUILD)/libweir.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(PKG_LIBS)

faults: $(BUILD)/faults ## Each effect fails once (TEST=prefix)
	$(Q)$(BUILD)/faults $(TEST)
.PHONY: faults
-include $(FAULT_OBJ:.o=.d)

unit: $(BUILD)/unit ## Unit tests (TEST=prefix of a group or test)
	$(Q)$(BUILD)/unit $(TEST)

suites: $(BUILD)/suites ## Conformance suites of interfaces with several back ends
	$(Q)$(BUILD)/suites $(TEST)

# Cases of the expression language, next to the checkout or given.
CASES ?= ../shared/spec/expression-cases.json

$(BUILD)/expressions: $(BUILD)/tests/expressions/run.o $(BUILD)/libweir.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

expressions: $(BUILD)/expressions ## The tables of expression cases (CASES=FILE: that one alone)
	$(Q)$(BUILD)/expressions $(if $(findstring file,$(origin CASES)),tests/expressions/cases.json) $(CASES)
.PHONY: expressions
-include $(BUILD)/tests/expressions/run.d

# Flows of others: cases next to the checkout, or any other folder of cases.
conformance: $(BUILD)/weir ## Flows of others through the HTTP API (SET=FOLDER, ONLY=GLOB)
	$(Q)WEIR_PROGRAM=$(BUILD)/weir tools/conformance.py $(if $(SET),--set $(SET)) $(if $(ONLY),--only '$(ONLY)')
.PHONY: conformance

# Fuzzing: clang's libFuzzer over the whole library, with sanitizers.
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_FLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_SEEDS := ../shared/conformance/flows sample-repo/flows

build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CCACHE) clang $(CSTD) $(PKG_CFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

build/fuzz/libweir.a: $(LIB_SRC:%.c=build/fuzz/%.o)
	$(Q)rm -f $@ && ar rcs $@ $^

build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c build/fuzz/libweir.a
	$(Q)clang $(CSTD) $(PKG_CFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

fuzz: $(patsubst %,build/fuzz/fuzz_%,$(or $(FUZZ),$(FUZZ_NAMES))) ## Fuzz each target for a while (FUZZ="flow yaml" FUZZ_SECONDS=60)
	$(Q)python3 tests/fuzz/seeds.py $(CASES) build/fuzz/seeds
	$(Q)bad=0; for name in $(or $(FUZZ),$(FUZZ_NAMES)); do \
	  tests/fuzz/run.sh build/fuzz/fuzz_$$name $$name $(or $(FUZZ_SECONDS),$(SECONDS),60) \
	    build/fuzz/seeds/$$name $(FUZZ_SEEDS) || bad=1; \
	done; exit $$bad
$(BUILD)/scenarios: $(BUILD)/tests/scenarios/run.o $(BUILD)/tests/support/engine_bed.o \
                    $(BUILD)/libweir.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

scenarios: $(BUILD)/scenarios ## Conversations with the engine (SCENARIO=part of a name)
	$(Q)SCENARIO="$(SCENARIO)" $(BUILD)/scenarios $(sort $(wildcard tests/scenarios/*.txt))
	$(Q)RESTORE=1 SCENARIO="$(SCENARIO)" $(BUILD)/scenarios $(sort $(wildcard tests/scenarios/*.txt))
.PHONY: scenarios
-include $(BUILD)/tests/scenarios/run.d

SIM_ALL := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/sim/*.c)))
SIM_OBJ := $(filter-out $(BUILD)/tests/sim/bugs.o,$(SIM_ALL))
SIM_DRIVER_ALL := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/sim/driver/*.c))) \
                  $(BUILD)/tests/sim/generate.o $(BUILD)/tests/sim/judge.o
SIM_DRIVER_OBJ := $(filter-out $(BUILD)/tests/sim/driver/bugs.o,$(SIM_DRIVER_ALL))
# Functions that planted bugs step in front of; those of the driver; numbers of the bugs that the
# simulation of the engine has to find, and of those that the simulation of the driver has to find.
SIM_WRAPS := scope_follow scope_resolve scope_next_entry scope_run_ended event_apply \
             task_run_touch engine_remove_run run_is_on_worker command_timer_again command_add \
             memory_close_scope finish_forced effects_answer finish_retry_due finish_attempt \
             finish_flowable settle_finished child_state
SIM_DRIVER_WRAPS := slots_follow slots_used
SIM_BUGS := 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23
SIM_DRIVER_BUGS := 2 3 7 16 17 18 19 20 21 22 23 24 25

$(BUILD)/sim: $(SIM_OBJ) $(BUILD)/tests/support/engine_bed.o $(BUILD)/libweir.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/sim_bugs: $(SIM_ALL) $(BUILD)/tests/support/engine_bed.o $(BUILD)/libweir.a
	$(Q)$(CC) $(LDFLAGS) $(SIM_WRAPS:%=-Wl,--wrap=%) -o $@ $^ $(PKG_LIBS)

$(BUILD)/sim_driver_bugs: $(SIM_DRIVER_ALL) $(BUILD)/tests/sim/bugs.o \
                          $(BUILD)/tests/support/engine_bed.o $(BUILD)/libweir.a
	$(Q)$(CC) $(LDFLAGS) $(SIM_WRAPS:%=-Wl,--wrap=%) $(SIM_DRIVER_WRAPS:%=-Wl,--wrap=%) -o $@ $^ \
	  $(PKG_LIBS)

sim-bugs: $(BUILD)/sim_bugs $(BUILD)/sim_driver_bugs ## Planted bugs, each of which is to be found
	$(Q)BUG=0 $(BUILD)/sim_bugs 1 200 >/dev/null
	$(Q)BUG=0 $(BUILD)/sim_driver_bugs 1 20 >/dev/null
	$(Q)echo $(SIM_BUGS) | xargs -n 1 -P 2 tests/sim/find_bug.sh $(BUILD)/sim_bugs "1 4000"
	$(Q)echo $(SIM_DRIVER_BUGS) | xargs -n 1 -P 2 tests/sim/find_bug.sh $(BUILD)/sim_driver_bugs "first 200"
	$(Q)echo "$(words $(SIM_BUGS) $(SIM_DRIVER_BUGS)) passed, 0 failed"
.PHONY: sim-bugs

sim: $(BUILD)/sim ## Simulation of the engine (SEED=0 RUNS=1000 TRACE=1)
	$(Q)TRACE=$(TRACE) $(BUILD)/sim $(or $(SEED),0) $(or $(RUNS),1000)
.PHONY: sim
-include $(SIM_ALL:.o=.d)

format: ## Apply .clang-format
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

check-format:
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror

$(BUILD)/tools/generate: tools/generate.c $(CLI_LIB_OBJ) $(BUILD)/libweir.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(PKG_CFLAGS) $(CFLAGS) $(WARN) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

generate: $(BUILD)/tools/generate ## Write schemas/ and docs/reference/ from the tables
	$(Q)$(BUILD)/tools/generate .

check-generated: $(BUILD)/tools/generate
	$(Q)rm -rf $(BUILD)/generated && $(BUILD)/tools/generate $(BUILD)/generated
	$(Q)tools/check-generated.sh $(BUILD)/generated

check-plugins:
	$(Q)tools/check-plugins.sh

check-layers:
	$(Q)awk -f tools/check-layers.awk $$(git ls-files 'base/*.[ch]' 'core/*.[ch]' 'agent/*.[ch]' \
	  'reconciler/*.[ch]' 'runtime/*.[ch]')

check-pure: $(LIB_OBJ)
	$(Q)tools/check-pure.sh $(BUILD) tools/pure-allow.txt \
	  $(filter $(BUILD)/runtime/engine/% $(BUILD)/runtime/scheduler/%,$(LIB_OBJ))

check-headers:
	$(Q)tools/check-headers.sh $(CC) $(CSTD) $(PKG_CFLAGS) $(WARN) -- $$(git ls-files '*.h')

tidy: ## Run clang-tidy over everything
	$(Q)git ls-files 'base/*.c' 'core/*.c' 'agent/*.c' 'reconciler/*.c' 'runtime/*.c' 'cli/*.c' | \
	  xargs -P$$(nproc) -n8 sh -c 'clang-tidy --quiet --warnings-as-errors="*" "$$@" -- $(CSTD) $(PKG_CFLAGS) 2>/dev/null' tidy

e2e: $(BUILD)/weir ## End-to-end tests with pytest (TEST=expression)
	$(Q)WEIR_PROGRAM=$(abspath $(BUILD)/weir) /usr/bin/python3 -m pytest -q -rs -p no:cacheprovider \
	  tests/e2e $(if $(TEST),-k '$(TEST)')

crash: $(BUILD)/weir ## Kill weir again and again, then count (KILLS=200 SEED=)
	$(Q)WEIR_PROGRAM=$(abspath $(BUILD)/weir) /usr/bin/python3 tests/crash/crash.py \
	  --kills $(or $(KILLS),200) $(if $(SEED),--seed $(SEED))

crash-short: $(BUILD)/weir
	$(Q)$(MAKE) -s crash KILLS=$(or $(KILLS),10)

# Simulation of the driver; that of the engine is `make sim`.
$(BUILD)/sim_driver: $(SIM_DRIVER_OBJ) $(BUILD)/tests/support/engine_bed.o $(BUILD)/libweir.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

sim-driver: $(BUILD)/sim_driver ## Simulation of the driver (SEED=1 RUNS=500; SEED=0: random)
	$(Q)$(BUILD)/sim_driver $(or $(SEED),1) $(or $(RUNS),500)

sim-plants: $(BUILD)/sim_driver
	$(Q)$(BUILD)/sim_driver plants

sim-sweep: $(BUILD)/sim_driver ## Each commit of a flow's life fails once in every way (FLOWS=40)
	$(Q)$(BUILD)/sim_driver sweep $(or $(FLOWS),40)

sim-stores: $(BUILD)/sim_driver ## The same lives in SQLite and in memory (RUNS=40)
	$(Q)$(BUILD)/sim_driver stores $(or $(RUNS),40)

sim-short: $(BUILD)/sim $(BUILD)/sim_driver sim-bugs ## Both, short, with their planted bugs
	$(Q)$(BUILD)/sim 1 2500
	$(Q)$(BUILD)/sim_driver plants
	$(Q)$(BUILD)/sim_driver sweep 15
	$(Q)$(BUILD)/sim_driver stores 20
	$(Q)$(BUILD)/sim_driver 1 300
.PHONY: sim-driver sim-plants sim-sweep sim-stores sim-short
-include $(SIM_DRIVER_ALL:.o=.d)

$(BUILD)/bench/engine: bench/engine.c $(BUILD)/tests/support/engine_bed.o $(BUILD)/libweir.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(PKG_CFLAGS) $(CFLAGS) $(WARN) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

bench-engine: $(BUILD)/bench/engine ## Cost of engine steps (ROUNDS=5)
	$(Q)$(BUILD)/bench/engine $(if $(JSON),--json) $(ROUNDS)
.PHONY: bench-engine

$(BUILD)/bench/expr: $(BUILD)/bench/expr.o $(BUILD)/libweir.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

bench-expr: $(BUILD)/bench/expr ## Expressions per second (JSON=1)
	$(Q)$(BUILD)/bench/expr $(if $(JSON),--json)
.PHONY: bench-expr
-include $(BUILD)/bench/expr.d

$(BUILD)/bench/driver: bench/driver.c $(BUILD)/libweir.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(PKG_CFLAGS) $(CFLAGS) $(WARN) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

bench-driver: $(BUILD)/bench/driver ## Driver and store without HTTP (WORK="hook cronstorm")
	$(Q)$(BUILD)/bench/driver $(if $(JSON),--json) $(WORK)
.PHONY: bench-driver

$(BUILD)/bench/worker: $(BUILD)/bench/worker.o $(BUILD)/libweir.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

bench-worker: $(BUILD)/bench/worker ## Worker alone (WORK="chain logs" JSON=1)
	$(Q)$(BUILD)/bench/worker $(if $(JSON),--json) $(WORK)
.PHONY: bench-worker

$(BUILD)/bench/load: bench/load.c $(BUILD)/libweir.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(WARN) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/bench/hook_limit: bench/probes/hook_limit.c $(BUILD)/libweir.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(WARN) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

bench: $(BUILD)/weir $(BUILD)/bench/load $(BUILD)/bench/hook_limit ## Measure (BENCH="hook chain" PEERS=dagu,restate)
	$(Q)WEIR_PROGRAM=$(abspath $(BUILD)/weir) WEIR_BUILD=$(abspath $(BUILD)) PEERS=$(PEERS) \
	  /usr/bin/python3 bench/run $(BENCH) $(if $(JSON),--json) $(if $(QUICK),--quick) \
	  --rounds $(or $(ROUNDS),5)

$(BUILD)/bench/reconcile: bench/reconcile.c $(BUILD)/libweir.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(WARN) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

bench-reconcile: $(BUILD)/bench/reconcile ## Measure planning alone (FLOWS=100000 ROUNDS=5)
	$(Q)$< $(or $(FLOWS),100000) $(or $(ROUNDS),5)

# Limits of the machine: bare system calls and libraries, each beside the same through base/.
PROBES := spawn commit answer capture memory
$(PROBES:%=$(BUILD)/bench/%): $(BUILD)/bench/%: bench/probes/%.c bench/probes/probe.h $(BUILD)/libweir.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(WARN) $(LDFLAGS) -o $@ $< $(BUILD)/libweir.a $(PKG_LIBS)

probes: $(PROBES:%=$(BUILD)/bench/%) ## Limits of this machine as JSON lines (PROBES="spawn commit" ROUNDS=5)
	$(Q)for probe in $^; do $$probe $(or $(ROUNDS),5) || exit 1; done

check: ## Everything that continuous integration runs
	$(Q)tools/test.sh

clean: ## Remove everything built
	$(Q)rm -rf build

-include $(LIB_SRC:%.c=build/fuzz/%.d)
-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(UNIT_OBJ:.o=.d) $(SUITE_OBJ:.o=.d) $(SUPPORT_OBJ:.o=.d)

.PHONY: all help unit suites fuzz generate check-generated check-plugins format check-format check-layers check-pure check-headers tidy e2e crash crash-short bench bench-reconcile probes clean
.DELETE_ON_ERROR:

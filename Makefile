# SPDX-License-Identifier: MIT
# Builds, runs and tests engaged. `make help` lists the targets.
# One object tree per configuration: build/ and, with SANITIZER=address,undefined, build-address-undefined/.
# V=1 shows the commands. Nothing is configured: pkg-config says where the libraries are.

VERSION := 0.2.0
SANITIZER ?=
comma := ,
BUILD := build$(if $(SANITIZER),-$(subst $(comma),-,$(SANITIZER)))
PREFIX ?= /usr/local
UNIT_FOLDER ?= $(PREFIX)/lib/systemd/system
DATA_FOLDER := /var/lib/engaged
PYTHON ?= /usr/bin/python3
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' $(1) $(2))

LIBRARIES := libuv hiredis libsodium jansson inih zlib openssl
PACKAGES_RUN := pkg-config libuv1-dev node-llhttp libhiredis-dev redis-server libsodium-dev libjansson-dev libinih-dev \
	uthash-dev zlib1g-dev libssl-dev tzdata python3 curl
# The peers of the load test, and what draws its plots; npm installs fastify and ioredis.
PACKAGES_LOADTEST := libnginx-mod-http-lua lua-nginx-redis webdis python3-matplotlib
PACKAGES_NPM := fastify ioredis
BROWSER_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/engaged-browser
NODE_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/engaged-loadtest
PACKAGES_TEST := libcmocka-dev python3-pytest python3-pytest-timeout python3-pytest-xdist python3-redis python3-cryptography python3-hypothesis clang-format \
	nginx varnish wrk patch chromium chromium-driver python3-selenium python3-jsonschema strace valgrind spin groff-base

CC ?= gcc
CFLAGS ?= -O2 -g
STANDARD := -std=gnu11 -D_GNU_SOURCE -fno-omit-frame-pointer -Isrc
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Werror
SANITIZE := $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-sanitize-recover=all)
# pkg-config is asked once, and only when something is compiled, because `make deps` may have to come first.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(LIBRARIES)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $$(shell pkg-config --libs $(LIBRARIES)))$(PKG_LIBS)
ALL_CFLAGS = $(STANDARD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) $(SANITIZE) $(PKG_CFLAGS) $(LLHTTP_FLAGS) -DVERSION='"$(VERSION)"' -MMD -MP

# llhttp comes as C sources (Debian's node-llhttp), built in strict mode, see the HTTP room; where there are none, as the
# library libllhttp of newer distributions.
llhttp_file = $(firstword $(wildcard $(1)) $(filter %/$(notdir $(1)),$(shell dpkg -L node-llhttp 2>/dev/null)))
LLHTTP_SOURCE := $(patsubst %/,%,$(dir $(call llhttp_file,/usr/share/llhttp/llhttp.c)))
LLHTTP_INCLUDE := $(patsubst %/,%,$(dir $(call llhttp_file,/usr/share/include/llhttp/llhttp.h)))
LLHTTP_OBJECTS := $(if $(LLHTTP_SOURCE),$(addprefix $(BUILD)/llhttp/,llhttp.o api.o http.o))
LLHTTP_FLAGS := $(if $(LLHTTP_INCLUDE),-isystem $(LLHTTP_INCLUDE))
LIBRARIES += $(if $(LLHTTP_SOURCE),,libllhttp)

SOURCES := $(sort $(wildcard src/*.c src/*/*.c))
OBJECTS := $(SOURCES:src/%.c=$(BUILD)/%.o) $(BUILD)/gen/scripts.o $(BUILD)/gen/assets.o $(BUILD)/gen/revision.o
ROOM_OBJECTS := $(filter-out $(BUILD)/main.o,$(OBJECTS)) $(LLHTTP_OBJECTS)
SCRIPT_PARTS := lua/item.lua lua/may.lua
SCRIPTS := $(filter-out $(SCRIPT_PARTS),$(sort $(wildcard lua/*.lua)))
WIDGET_PARTS := $(wildcard src/widget/*.js)
MANUALS := $(BUILD)/gen/engaged.8 $(BUILD)/gen/engaged.conf.5 $(BUILD)/gen/engaged.conf
ASSETS := $(sort $(wildcard src/web/*)) $(BUILD)/gen/widget.js $(BUILD)/gen/widget.mjs
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/*.c)))
GUARDS := $(if $(SANITIZER),,$(BUILD)/allocations.so)
LOAD_PROGRAMS := $(BUILD)/bare_responder $(BUILD)/closed_loop $(BUILD)/open_loop
RESPONDER := $(if $(wildcard tests/http/responder.c),$(BUILD)/responder)
FAILING_MALLOC := $(if $(wildcard tests/faults/failing_malloc.c),$(BUILD)/failing_malloc.so)
SHIFTED_CLOCK := $(BUILD)/shifted_clock.so

VALGRIND_TESTS := tests/http tests/api/test_writes.py tests/api/test_reads.py tests/api/test_rules.py tests/api/test_page.py \
	tests/api/test_corrections.py tests/api/test_transfer.py tests/faults/test_bad_data.py

.PHONY: all help deps deps-test deps-browser deps-prometheus run test test-upgrade test-widget unit check crash planted model fuzz fuzzers asan quality replay windows loadtest loadtest-deps failover instructions soak valgrind \
	guards-record bench-compare clean install deb test-install programs
.DELETE_ON_ERROR:

all: $(BUILD)/engaged ## build the program (build/engaged)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what building and running needs (apt-get)
	$(Q)deploy/install-packages $(PACKAGES_RUN)

deps-test: ## install what the tests need besides
	$(Q)deploy/install-packages $(PACKAGES_RUN) $(PACKAGES_TEST)

# These are optional: a test without its tool says so and is skipped.
deps-browser: deps-test ## what a few tests of the browser need besides: Firefox, and axe-core by npm into a cache folder
	$(Q)deploy/install-packages firefox-esr || true
	$(Q)[ -d $(BROWSER_CACHE)/node_modules/axe-core ] || command -v npm >/dev/null || deploy/install-packages nodejs npm || true
	$(Q)[ -d $(BROWSER_CACHE)/node_modules/axe-core ] || { mkdir -p $(BROWSER_CACHE) && \
	timeout 120 npm install --no-audit --no-fund --silent --prefix $(BROWSER_CACHE) axe-core; } || \
	echo "axe-core could not be had by npm: its tests are left out."

# Unpacked, not installed: no service starts.
PROMETHEUS_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/engaged-prometheus
deps-prometheus: deps-test ## what the tests of metrics need besides: promtool and Prometheus, from Debian's package, into a cache folder
	$(Q)command -v promtool >/dev/null || [ -x $(PROMETHEUS_CACHE)/usr/bin/promtool ] || deploy/unpack-package prometheus $(PROMETHEUS_CACHE) || \
	echo "promtool could not be had: its tests are left out."

run: deps ## build, start with an embedded Redis in ./data and a sample site; REDIS=cluster or REDIS=sentinel: with such servers
	$(Q)$(MAKE) --no-print-directory all
	$(Q)REDIS=$(REDIS) deploy/run-sample

test: deps-browser deps-prometheus ## run all tests, then again under ASan and UBSan
	$(Q)$(PYTHON) tests/run.py $(if $(SANITIZER),$(SANITIZER))

unit: programs ## run the unit tests alone
	$(Q)for t in $(UNIT_TESTS); do $$t 2>&1 || exit 1; done

check: deps-test ## rooms, cycles, headers, formatting, documents: in seconds
	$(Q)$(PYTHON) tests/check/check.py

test-widget: deps-browser ## the widget in all pairs of its states; FULL=1: in all 240
	$(Q)$(MAKE) --no-print-directory all
	$(Q)FULL=$(FULL) $(PYTHON) -m pytest -q -p no:cacheprovider --timeout=300 tests/browser/test_widget_states.py

test-upgrade: deps-test ## older revisions, built from the history: upgrades machine by machine, and the way back
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) -m pytest -q -p no:cacheprovider --timeout=300 -rs tests/upgrade

asan: ## build with the sanitizers
	$(Q)$(MAKE) --no-print-directory SANITIZER=address,undefined programs

quality: deps-test ## ask-then-learn on real reading data: HR, MRR, coverage
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) loadtest/quality.py

replay: deps ## load a click log: make replay DATA=clicks.tsv.gz
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) loadtest/replay.py $(DATA)

windows: deps-test ## replay a real log at its own time: windows and lists against exact counts: make windows INSTANTS=50 SEED=1 ZONE=UTC
	$(Q)$(MAKE) --no-print-directory all $(SHIFTED_CLOCK)
	$(Q)$(PYTHON) tests/windows/run.py $(if $(INSTANTS),--instants $(INSTANTS)) $(if $(SEED),--seed $(SEED)) $(if $(ZONE),--zone $(ZONE))

loadtest-deps: deps-test ## install the peers of the load test (apt-get, npm into a cache folder)
	$(Q)deploy/install-packages $(PACKAGES_LOADTEST)
	$(Q)command -v npm >/dev/null || deploy/install-packages nodejs npm
	$(Q)mkdir -p $(NODE_CACHE)
	$(Q)[ -d $(NODE_CACHE)/node_modules/fastify ] || npm install --no-audit --no-fund --silent --prefix $(NODE_CACHE) $(PACKAGES_NPM)

loadtest: deps-browser ## figures beside the peers: make loadtest QUICK=1 ONLY=votes-zipf,idle
	$(Q)$(MAKE) --no-print-directory all $(LOAD_PROGRAMS)
	$(Q)$(PYTHON) loadtest/run.py $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(INTO),--into $(INTO))

bench-compare: deps-test ## two revisions side by side: make bench-compare A=main B=. TURNS=9 ONLY=votes-zipf
	$(Q)$(MAKE) --no-print-directory all $(LOAD_PROGRAMS)
	$(Q)$(PYTHON) loadtest/compare.py $(if $(QUICK),--quick) $(if $(TURNS),--turns $(TURNS)) $(if $(ONLY),--only $(ONLY)) $(or $(A),HEAD) $(or $(B),.)

guards-record: deps-test ## record the instructions a request of this tree (tests/guards)
	$(Q)$(MAKE) --no-print-directory programs
	$(Q)RECORD=1 $(PYTHON) -m pytest -q -p no:cacheprovider tests/guards/test_instructions.py

instructions: deps-test ## instructions and allocations a request (installs valgrind)
	$(Q)deploy/install-packages valgrind
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) loadtest/instructions.py

crash: deps-test ## kill and freeze processes under load, then check all counts: make crash SECONDS=600 [MARGIN=4, on a busy machine] FAULTS=all|cluster|sentinel|freeze-redis
	$(Q)$(MAKE) --no-print-directory all $(SHIFTED_CLOCK)
	$(Q)$(PYTHON) tests/crash/run.py --seconds $(or $(SECONDS),60) --faults $(or $(FAULTS),all) $(if $(SEED),--seed $(SEED)) $(if $(MARGIN),--margin $(MARGIN))

planted: deps-browser deps-prometheus ## plant bugs one by one; does the named test find each: make planted ONLY=store
	$(Q)$(MAKE) --no-print-directory programs
	$(Q)$(PYTHON) tests/planted/run.py $(if $(ONLY),--only $(ONLY))

model: deps-test ## the road of a vote through failovers as a model, all cases of it (spin): in minutes; ONLY=FLAW
	$(Q)$(PYTHON) tests/model/run.py $(if $(ONLY),--only $(ONLY))

failover: deps-test ## one of three masters of a Cluster is killed: what goes on, when the rest is back: make failover NODE_TIMEOUT=5000
	$(Q)$(MAKE) --no-print-directory programs
	$(Q)$(PYTHON) loadtest/failover.py --turns $(or $(TURNS),5) --node-timeout $(or $(NODE_TIMEOUT),5000)

soak: deps-test ## a mixed load for long, nothing may grow: make soak SECONDS=3600
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) loadtest/soak.py --seconds $(or $(SECONDS),60)

valgrind: deps-test ## tests of HTTP, of the contract and of faults under memcheck: in minutes
	$(Q)deploy/install-packages valgrind
	$(Q)$(MAKE) --no-print-directory programs
	$(Q)BUILD=tests/valgrind BARE_SERVICE=1 SHORT_TESTS=1 $(PYTHON) -m pytest -q -p no:cacheprovider --timeout=300 $(VALGRIND_TESTS)

fuzz: ## run all fuzzers, SECONDS each (600); needs clang
	$(Q)deploy/install-packages $(PACKAGES_RUN) clang
	$(Q)$(MAKE) --no-print-directory CC=clang SANITIZER=fuzzer-no-link,address,undefined fuzzers
	$(Q)$(PYTHON) tests/fuzz/run.py $(or $(SECONDS),600) $(patsubst %,build-fuzzer-no-link-address-undefined/fuzz/%,$(FUZZERS))

fuzzers: $(FUZZERS:%=$(BUILD)/fuzz/%)

programs: $(BUILD)/engaged $(UNIT_TESTS) $(RESPONDER) $(GUARDS) $(FAILING_MALLOC) $(SHIFTED_CLOCK) ## the program and everything the tests run

# A configuration that is there stays. The user is made where the files go to their own places, not into a package.
install: all $(MANUALS) ## install the program, a configuration (one that is there stays), the unit, its user and the manuals
	install -D -m 755 $(BUILD)/engaged $(DESTDIR)$(PREFIX)/bin/engaged
	install -D -m 644 deploy/engaged.conf $(DESTDIR)$(PREFIX)/share/doc/engaged/examples/engaged.conf
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/engaged/examples deploy/redis.conf deploy/prometheus/*.yml deploy/grafana/engaged.json
	for folder in cluster container machines sentinel; do \
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/engaged/examples/$$folder deploy/$$folder/*.conf || exit 1; done
	[ -e $(DESTDIR)/etc/engaged.conf ] || install -D -m 644 $(BUILD)/gen/engaged.conf $(DESTDIR)/etc/engaged.conf
	install -D -m 644 deploy/engaged.service $(DESTDIR)$(UNIT_FOLDER)/engaged.service
	sed -i 's|/usr/local/bin/|$(PREFIX)/bin/|' $(DESTDIR)$(UNIT_FOLDER)/engaged.service
	install -D -m 644 $(BUILD)/gen/engaged.8 $(DESTDIR)$(PREFIX)/share/man/man8/engaged.8
	install -D -m 644 $(BUILD)/gen/engaged.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/engaged.conf.5
	[ -n "$(DESTDIR)" ] || getent passwd engaged >/dev/null || \
	useradd --system --user-group --home-dir $(DATA_FOLDER) --no-create-home --shell /usr/sbin/nologin engaged

# The tree is packed as it is, also what is not committed.
deb: ## build a Debian package in build/deb (installs debhelper)
	$(Q)deploy/install-packages $(PACKAGES_RUN) debhelper
	$(Q)deploy/debian/build $(BUILD)/deb $(VERSION)

test-install: deps-test ## packages and installations in a bare Debian 12: root, debootstrap; in minutes
	$(Q)$(PYTHON) tests/install/run.py

clean: ## remove what was built
	rm -rf build build-*

# ---- Rules

$(BUILD)/engaged: $(OBJECTS) $(LLHTTP_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/llhttp/%.o: $(LLHTTP_SOURCE)/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SANITIZE) -DLLHTTP_STRICT_MODE=1 -I$(LLHTTP_INCLUDE) -c -o $@ $<

# The scripts byte for byte, each with the SHA-1 that EVALSHA names it by; before it what its head includes.
script_parts = $$(sed -n 's|^-- include: \(.*\)|lua/\1.lua|p' $$f) $$f
$(BUILD)/gen/scripts.c: $(SCRIPTS) $(SCRIPT_PARTS) Makefile
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q){ echo '#include "redis/scripts_table.h"'; \
	for f in $(SCRIPTS); do n=$$(basename $$f .lua); \
	  printf '__asm__(".section .rodata\\nscript_%s:\\n' $$n; printf '.incbin \\"%s\\"\\n' $(script_parts); \
	  printf 'script_%s_end:\\n.byte 0\\n.previous\\n");\n' $$n; \
	  printf 'extern const char script_%s[], script_%s_end[];\n' $$n $$n; done; \
	echo 'const struct script_source script_sources[] = {'; \
	for f in $(SCRIPTS); do n=$$(basename $$f .lua); \
	  printf '    {"%s", script_%s, script_%s_end, "%s"},\n' $$n $$n $$n $$(cat $(script_parts) | sha1sum | cut -c1-40); done; \
	echo '};'; echo 'const size_t script_source_count = sizeof script_sources / sizeof *script_sources;'; } > $@

$(BUILD)/gen/engaged.8 $(BUILD)/gen/engaged.conf.5: $(BUILD)/gen/%: deploy/man/make.py deploy/man/%.in deploy/engaged.conf \
		src/ops/settings.def src/roles/tools.def Makefile
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)$(PYTHON) deploy/man/make.py $* $(VERSION) > $@

# What is installed has its data where a service has it, not in the folder that it is started from.
$(BUILD)/gen/engaged.conf: deploy/engaged.conf Makefile
	@mkdir -p $(@D)
	$(Q)sed 's|^# redis = embedded:./data$$|redis = embedded:$(DATA_FOLDER)|' $< > $@
	$(Q)grep -q '^redis = ' $@

# The widget is its parts in one function: a classic script, and an ES module.
$(BUILD)/gen/widget.js $(BUILD)/gen/widget.mjs: $(WIDGET_PARTS) src/widget/join.py Makefile
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)$(PYTHON) src/widget/join.py $(if $(filter %.mjs,$@),module,script) > $@

# The commit that the program is built from, for /metrics; outside of a clone `make REVISION=…` says it. Written if it is another.
REVISION ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
.PHONY: revision
revision:
$(BUILD)/gen/revision.c: revision
	@mkdir -p $(@D)
	$(Q)text='extern const char metrics_revision[]; const char metrics_revision[] = "$(REVISION)";'; \
	[ "$$(cat $@ 2>/dev/null)" = "$$text" ] || printf '%s\n' "$$text" > $@

# The widget and the pages byte for byte.
$(BUILD)/gen/assets.c: $(ASSETS) Makefile
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q){ echo '#include "api/assets.h"'; n=0; \
	for f in $(ASSETS); do n=$$((n + 1)); \
	  printf '__asm__(".section .rodata\\nasset_%s:\\n.incbin \\"%s\\"\\nasset_%s_end:\\n.byte 0\\n.previous\\n");\n' $$n $$f $$n; \
	  printf 'extern const char asset_%s[], asset_%s_end[];\n' $$n $$n; done; n=0; \
	echo 'const struct asset_source asset_sources[] = {'; \
	for f in $(ASSETS); do n=$$((n + 1)); printf '    {"%s", asset_%s, asset_%s_end},\n' $$(basename $$f) $$n $$n; done; \
	echo '};'; echo 'const size_t asset_source_count = sizeof asset_sources / sizeof *asset_sources;'; } > $@

$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/unit/%: tests/unit/%.c $(ROOM_OBJECTS)
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(ROOM_OBJECTS) $(PKG_LIBS) -lcmocka -lm

$(BUILD)/responder: tests/http/responder.c $(ROOM_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(ROOM_OBJECTS) $(PKG_LIBS) -lm

$(BUILD)/allocations.so: tests/guards/allocations.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(STANDARD) $(CFLAGS) -Wall -Wextra -Werror -fPIC -shared -o $@ $<

$(LOAD_PROGRAMS): $(BUILD)/%: loadtest/%.c $(LLHTTP_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(LLHTTP_OBJECTS) $(PKG_LIBS)

$(FAILING_MALLOC): tests/faults/failing_malloc.c
	$(call say,LINK,$@)
	$(Q)$(CC) $(STANDARD) $(WARNINGS) -O1 -g -shared -fPIC -o $@ $< -ldl

$(SHIFTED_CLOCK): tests/crash/shifted_clock.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(STANDARD) $(WARNINGS) -O1 -g -shared -fPIC -o $@ $< -ldl

$(BUILD)/fuzz/%: tests/fuzz/%.c $(ROOM_OBJECTS)
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -I. -o $@ $< $(ROOM_OBJECTS) $(PKG_LIBS) -lm

-include $(OBJECTS:.o=.d) $(addsuffix .d,$(UNIT_TESTS)) $(BUILD)/responder.d $(LOAD_PROGRAMS:=.d)

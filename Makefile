# SPDX-License-Identifier: Apache-2.0
# meson and ninja do the work; these are the commands that people type.
#
#   make            programs in build/bin/ (installs missing packages if root)
#   make test       all tests                  make unit    unit tests and fuzz corpora only
#   make lint       style and rules            make asan    unit tests under ASan and UBSan
#   make demo       a cluster with Agents      make tsan    unit tests under TSan
#   make bench-webhook  the webhook's speed   make bench-runs  what a run costs
#   make bench-tools    what a Tool costs
#   make bench      speed and size             make fuzz    each fuzz target for FUZZ_SECONDS
#   make install    PREFIX and DESTDIR are honoured         make clean
PREFIX = /usr/local
DESTDIR =
BUILD = build
FUZZ_SECONDS = 60
# e.g. MESON_ARGS='--werror -Dbuildtype=debug'
MESON_ARGS =
TEST_ARGS =

SANITIZE = --buildtype=debug -Db_lundef=false -Dc_args=-fno-omit-frame-pointer
UNIT = --no-rebuild --print-errorlogs --suite unit --suite fuzz

.PHONY: all install test unit lint fuzz bench bench-webhook bench-runs bench-tools demo asan tsan clean
all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

# hack/setup: meson setup with the packages and the minimal libcurl that it needs.
$(BUILD)/build.ninja:
	@hack/setup $(BUILD) --prefix=$(PREFIX) $(MESON_ARGS)
build-asan/build.ninja:
	@CC=clang hack/setup build-asan -Db_sanitize=address,undefined $(SANITIZE) $(MESON_ARGS)
build-tsan/build.ninja:
	@CC=clang hack/setup build-tsan -Db_sanitize=thread $(SANITIZE) $(MESON_ARGS)
build-fuzz/build.ninja:
	@CC=clang hack/setup build-fuzz -Dfuzz=libfuzzer -Db_sanitize=address,undefined $(SANITIZE) $(MESON_ARGS)

install: all
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@ninja -C $(BUILD)
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

test:
	@hack/test $(TEST_ARGS)
unit: all
	@meson test -C $(BUILD) $(UNIT) $(TEST_ARGS)
asan tsan: %: build-%/build.ninja
	@ninja -C build-$@
	@meson test -C build-$@ $(UNIT) $(TEST_ARGS)
lint: $(BUILD)/build.ninja
	@hack/lint $(BUILD) $(TEST_ARGS)
fuzz: build-fuzz/build.ninja
	@ninja -C build-fuzz
	@hack/fuzz build-fuzz $(FUZZ_SECONDS) $(TEST_ARGS)

bench:
	@hack/bench $(TEST_ARGS)
bench-runs: all
	@hack/deps cluster </dev/null >&2
	@/usr/bin/python3 -B tests/bench/runs.py $(TEST_ARGS) </dev/null
bench-tools: all
	@hack/deps cluster engines </dev/null >&2
	@/usr/bin/python3 -B tests/bench/tools.py $(TEST_ARGS) </dev/null
bench-webhook: all
	@ninja -C $(BUILD) tests/bench/bench-webhook >/dev/null
	@$(BUILD)/tests/bench/bench-webhook --json $(BUILD)/bench-webhook.json $(TEST_ARGS) tests/bench/webhook-review.json
demo:
	@hack/demo

clean:
	rm -rf build build-asan build-tsan build-fuzz

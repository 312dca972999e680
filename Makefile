# SPDX-License-Identifier: LGPL-2.1-or-later
# Two commands on a fresh Debian 12: `make demo` and `make check`.  meson does the building; this
# file installs what it needs and names the usual jobs.

CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/wherry
PYTEST = /usr/bin/python3 -m pytest -q -p no:cacheprovider
PACKAGES = bash-completion binutils clang gcc gdb git libc6-dev libcmocka-dev libclang-rt-14-dev \
	libjson-c-dev libsmartcols-dev libxen-dev libxxhash-dev libzstd-dev llvm make meson \
	ninja-build pkg-config python3 python3-pytest scdoc time xen-utils-4.17 zstd

.PHONY: all build deps check check-fast demo fuzz bench docs install clean

all: build

# Installed only where something is missing, so that a set-up machine needs no network.
deps:
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f '$${Status}\n' $$p 2>/dev/null | \
		grep -q '^install ok installed' || echo $$p; done); \
	[ -z "$$missing" ] || { \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; }

build: deps build/build.ninja
	@ninja -C build

build/build.ninja:
	@meson setup build -Dwerror=true >/dev/null

docs: build
	build/docs/format > docs/streams.md

demo: build
	@sh tests/demo.sh build/wherry

check: check-fast

check-fast: build
	@/usr/bin/python3 tests/check.py

# libFuzzer, a minute a target or MINUTES=15.
fuzz: deps
	@sh tests/fuzz/run.sh $(or $(MINUTES),1)

bench: build
	@/usr/bin/python3 bench/streams.py

install: build
	@ninja -C build install

clean:
	rm -rf build build-*

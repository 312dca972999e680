# SPDX-License-Identifier: LGPL-2.1-or-later
# Two commands on a fresh Debian 12: `make demo` and `make check`.  meson does the building; this
# file installs what it needs and names the usual jobs.

CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/wherry
PYTEST = /usr/bin/python3 -m pytest -q -p no:cacheprovider
PACKAGES = bash-completion binutils clang gcc gdb git libc6-dev libcmocka-dev libclang-rt-14-dev \
	libjson-c-dev libsmartcols-dev libxen-dev libxxhash-dev libzstd-dev llvm make meson \
	ninja-build pkg-config python3 python3-pytest scdoc time xen-utils-4.17 zstd
# For the lab: real Xen in QEMU.
LAB_PACKAGES = cpio e2fsprogs kmod mmdebstrap openssh-client qemu-system-x86 qemu-utils xz-utils

.PHONY: all build deps lab-deps check check-fast demo fuzz lab lab-down bench bench-lab bench-move lab-sweep docs install clean

all: build

# Installed only where something is missing, so that a set-up machine needs no network.
deps: WANTED = $(PACKAGES)
lab-deps: WANTED = $(LAB_PACKAGES)
deps lab-deps:
	@missing=$$(for p in $(WANTED); do dpkg-query -W -f '$${Status}\n' $$p 2>/dev/null | \
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

# A guest saved and restored on real Xen, then the tools for images.
demo: build lab-deps
	@lab/lab build && make -s -C lab/guests && sh lab/demo.sh
	@sh tests/demo.sh build/wherry

# Everything: real Xen hosts too.
check: build lab-deps
	@/usr/bin/python3 tests/check.py --lab

check-fast: build
	@/usr/bin/python3 tests/check.py

# libFuzzer, a minute a target or MINUTES=15.
fuzz: deps
	@sh tests/fuzz/run.sh $(or $(MINUTES),1)

# Real Xen hosts in QEMU (docs/lab.md): two of them, until lab-down.  Not part of the tree: the image
# and the booted state, by what they are made from, in CACHE.
export WHERRY_CACHE = $(CACHE)
lab: build lab-deps
	@lab/lab up 2 && lab/lab status

# Every fault at every step of a move between two hosts, and one guest that moves thirty times: an hour or so.
lab-sweep: build lab-deps
	@lab/lab build && make -s -C lab/guests && WHERRY_SWEEP=all $(PYTEST) tests/lab/test_moves_broken.py \
		tests/lab/test_links.py tests/lab/test_hosts_lost.py \
		tests/lab/test_migrate.py::test_no_page_of_a_moving_guest_is_torn_lost_or_stale

lab-down:
	@lab/lab down

bench: build
	@ninja -C build bench/engine
	@/usr/bin/python3 bench/streams.py
	@/usr/bin/python3 bench/engine.py

# xl and wherry in turn, moving a guest between two real Xen hosts: half an hour.
bench-move: build lab-deps
	@make -s -C lab/guests && /usr/bin/python3 bench/move.py $(PAIRS)

# The same, saving and restoring on one: half an hour.
bench-lab: build lab-deps
	@make -s -C lab/guests && /usr/bin/python3 bench/lab.py $(PAIRS)

install: build
	@ninja -C build install

clean:
	rm -rf build build-*

# liblstm: `make` builds the library, `make demo` shows it at work, `make test` checks everything.
#
#   make            build/liblstm.so.1 (release, stripped), its debug file, build/liblstm.a, build/lstm.pc
#   make demo       train an LSTM on film reviews in C, open it in Python, draw the learning curve
#   make test       every test, last line `N passed, N failed`
#   make bench      measure beside PyTorch, Keras, JAX, ONNX Runtime and OpenVINO, and write docs/benchmarks.md;
#                   ONLY=hello-train,load ROUNDS=7; PRIORITY=1 goes before other users
#   make lint       swift-format, clang-format, ruff, mypy; `make format` mends what it can
#   make install    PREFIX=/usr/local DESTDIR=
#   make asan-so    build/asan/liblstm.so.1 with AddressSanitizer; `make tsan-so` with ThreadSanitizer
#   make setup      install what is missing; the other targets call it
#   make clean
#
# docs/building.md explains the flags.

SHELL = /bin/bash
.SHELLFLAGS = -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PREFIX ?= /usr/local
DESTDIR ?=

VERSION := $(shell sed -n 's/^.define LSTM_VERSION "\(.*\)"/\1/p' include/lstm.h)
# The ABI's major number, then the library's minor and patch number.
REALNAME = liblstm.so.1.$(word 2,$(subst ., ,$(VERSION))).$(word 3,$(subst ., ,$(VERSION)))

# Folders stand in the list too: their dates change when a file comes or goes.
SOURCES := $(shell find Sources include) Package.swift lstm.map Makefile
PYTHON = .venv/bin/python
LINTERS = lint-swift lint-c lint-python lint-types

# The toolchain's own folder, asked of the compiler; llvm tools of the distribution are too old for its objects.
RESOURCES = $(shell swiftc -print-target-info | sed -n 's/.*"runtimeResourcePath": "\(.*\)".*/\1/p')
LLVM = $(RESOURCES)/../../bin

SWIFT_BUILD = LSTM_EMBEDDED=1 swift build --quiet -c release --product lstm --disable-local-rpath \
  -Xswiftc -Xfrontend -Xswiftc -function-sections -Xswiftc -use-ld=lld \
  -Xlinker --version-script=$(CURDIR)/lstm.map -Xlinker -soname=liblstm.so.1 -Xlinker -Bsymbolic -Xlinker --gc-sections
STRICT = -Xlinker --as-needed -Xlinker -z -Xlinker defs
# Speed is decided in the C kernels, which SwiftPM compiles with -O2 all the same.
SMALL = -Xswiftc -Osize -Xswiftc -enforce-exclusivity=unchecked -Xswiftc -Xllvm \
  -Xswiftc -enable-machine-outliner=always -Xlinker --icf=all

.PHONY: all setup demo test bench lint $(LINTERS) format install asan-so tsan-so clean
all: build/liblstm.so.1 build/liblstm.a build/lstm.pc

build/liblstm.so.1: $(SOURCES)
	@echo "  SWIFT    $@"
	@$(SWIFT_BUILD) --scratch-path .build/embedded $(SMALL) $(STRICT)
	@mkdir -p build
	@$(LLVM)/llvm-objcopy --only-keep-debug .build/embedded/release/liblstm.so $@.debug
	@cd build && $(LLVM)/llvm-objcopy --strip-all --add-gnu-debuglink=liblstm.so.1.debug \
	  ../.build/embedded/release/liblstm.so liblstm.so.1.new
	@mv $@.new $@ && ln -sf liblstm.so.1 build/liblstm.so
	@echo "           $$(( $$(stat -c %s $@) / 1024 )) KB"

# One relocatable object in which only lstm_* is global. The linker's own list of inputs leaves out what an earlier
# build may have left behind.
build/liblstm.a: build/liblstm.so.1
	@echo "  ARCHIVE  $@"
	@$(LLVM)/ld.lld -r -o build/lstm.all.o @.build/embedded/release/lstm.product/Objects.LinkFileList
	@$(LLVM)/llvm-objcopy --strip-debug --wildcard --keep-global-symbol='lstm_*' build/lstm.all.o build/lstm.o
	@rm -f $@ && $(LLVM)/llvm-ar rcs $@ build/lstm.o && rm build/lstm.all.o build/lstm.o

# For use without installing: PKG_CONFIG_PATH=build.
build/lstm.pc: packaging/lstm.pc.in include/lstm.h | build/liblstm.so.1
	@sed 's|@VERSION@|$(VERSION)|; s|@LIBDIR@|$${pcfiledir}|; s|@INCLUDEDIR@|$${pcfiledir}/../include|' $< > $@

install: all
	@echo "  INSTALL  $(DESTDIR)$(PREFIX)"
	@root='$(DESTDIR)$(PREFIX)'; \
	install -d "$$root"/{include,lib/pkgconfig,lib/cmake/lstm}; \
	install -m 644 include/lstm.h "$$root/include/"; \
	install -m 755 build/liblstm.so.1 "$$root/lib/$(REALNAME)"; \
	ln -sf $(REALNAME) "$$root/lib/liblstm.so.1"; \
	ln -sf liblstm.so.1 "$$root/lib/liblstm.so"; \
	install -m 644 build/liblstm.a "$$root/lib/"; \
	sed 's|@VERSION@|$(VERSION)|; s|@LIBDIR@|$${pcfiledir}/..|; s|@INCLUDEDIR@|$${pcfiledir}/../../include|' \
	  packaging/lstm.pc.in > "$$root/lib/pkgconfig/lstm.pc"; \
	install -m 644 packaging/lstmConfig.cmake "$$root/lib/cmake/lstm/"; \
	sed 's|@VERSION@|$(VERSION)|' packaging/lstmConfigVersion.cmake.in > "$$root/lib/cmake/lstm/lstmConfigVersion.cmake"

# The sanitizers' functions come from the program that loads the library: symbols stay undefined.
asan-so: build/asan/liblstm.so.1
tsan-so: build/tsan/liblstm.so.1
build/asan/liblstm.so.1: SANITIZER = address
build/tsan/liblstm.so.1: SANITIZER = thread
build/asan/liblstm.so.1 build/tsan/liblstm.so.1: $(SOURCES)
	@echo "  SWIFT    $@"
	@$(SWIFT_BUILD) --scratch-path .build/$(SANITIZER) --sanitize=$(SANITIZER)
	@install -D -m 755 .build/$(SANITIZER)/release/liblstm.so $@

setup:
	@tools/setup

demo: setup all
	@mkdir -p build/demo
	@PKG_CONFIG_PATH=build && export PKG_CONFIG_PATH; \
	gcc -std=c99 -O2 -Wall -Wextra examples/c/02_sentiment.c -o build/demo/sentiment \
	  $$(pkg-config --cflags --libs lstm) -Wl,-rpath,'$$ORIGIN/..'
	@build/demo/sentiment data/movie-reviews build/demo \
	  "A warm, funny and beautifully acted film." "Dull, overlong and without a single new idea."
	@PYTHONPATH=bindings/python $(PYTHON) examples/python/demo_check.py data/movie-reviews build/demo

test: setup all asan-so tsan-so
	@Tests/run

# The benchmark's programs, and its environment of a gigabyte or two.
BENCH = build/bench
BENCH_OPTIONS = $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(PRIORITY),--priority)

bench: setup all $(BENCH)/machine $(BENCH)/streams $(BENCH)/venv/requirements.txt
	@$(BENCH)/venv/bin/python bench/run.py $(BENCH_OPTIONS)

$(BENCH)/machine: bench/machine.c
	@mkdir -p $(@D)
	@gcc -O3 -march=native -pthread -Wall -Wextra $< -o $@

$(BENCH)/streams: bench/streams.c include/lstm.h build/liblstm.so.1
	@mkdir -p $(@D)
	@gcc -std=c99 -D_POSIX_C_SOURCE=200809L -O2 -Wall -Wextra -Iinclude $< -o $@ -Lbuild -llstm -Wl,-rpath,'$$ORIGIN/..'

$(BENCH)/venv/requirements.txt: bench/requirements.txt
	@echo "  SETUP    $(BENCH)/venv"
	@[ -x $(@D)/bin/python ] || python3 -m venv --without-pip $(@D)
	@python3 -m pip --disable-pip-version-check --python $(@D)/bin/python install --quiet --requirement $<
	@cp $< $@

# What the linters read.
SWIFT_FILES = Package.swift Sources $(wildcard Tests/LSTM*)
C_FILES = $(shell find include Sources examples Tests bench -name '*.[ch]' -o -name '*.inc')
PYTHON_FILES = Tests Tests/run bindings/python examples bench data tools

# Each says its piece, whatever the others find.
lint: setup
	@$(MAKE) --no-print-directory --keep-going $(LINTERS)
lint-swift:
	@swift format lint --strict --parallel --recursive $(SWIFT_FILES)
	@echo "  LINT     swift-format"
lint-c:
	@.venv/bin/clang-format --dry-run -Werror $(C_FILES)
	@echo "  LINT     clang-format"
lint-python:
	@.venv/bin/ruff check --quiet $(PYTHON_FILES)
	@.venv/bin/ruff format --quiet --check $(PYTHON_FILES)
	@echo "  LINT     ruff"
lint-types:
	@cd bindings/python && ../../.venv/bin/mypy --no-error-summary --cache-dir ../../.build/mypy
	@echo "  LINT     mypy"

format: setup
	@swift format format --in-place --parallel --recursive $(SWIFT_FILES)
	@.venv/bin/clang-format -i $(C_FILES)
	@.venv/bin/ruff check --quiet --fix $(PYTHON_FILES)
	@.venv/bin/ruff format --quiet $(PYTHON_FILES)

clean:
	@rm -rf .build build

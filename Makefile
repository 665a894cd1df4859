# What a user types; the work is in tools/. `make` leaves the program as build/memnet.
FUZZ_SECONDS ?= 20

.PHONY: all bench test demo lint format fuzz clean

all:
	tools/packages.sh build
	tools/build.sh build memnet --buildtype=release

bench:
	tools/packages.sh build
	tools/build.sh build all --buildtype=release

test:
	tools/test.sh

demo: all
	tools/demo.sh

lint:
	tools/lint.sh

format:
	tools/format.sh

fuzz:
	tools/fuzz.sh $(FUZZ_SECONDS)

clean:
	rm -rf build build-asan build-clang build-fuzz

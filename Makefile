# The one entry point. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo up down dashboard-picture test lint sim mutants audit sbom fuzz bench images images-media corpus release

# The clip that `scripts/setup` brings; any file that ffmpeg reads will do.
VIDEO ?= .tools/media/bigbuckbunny.mp4
# Where `make demo` leaves a copy of what was published.
OUT ?= out
# Through the environment, so that spaces and quotes in names survive.
export VIDEO OUT
# `dev` builds soonest; `make demo PROFILE=fast` suits a long video.
PROFILE ?= dev
# How long each fuzz target runs, and which.
SECONDS ?= 30
TARGET ?=
# How many seeds the simulator runs, or which single one.
SEEDS ?= 1000
SEED ?=

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

demo: ## a real video through the whole pipeline on this machine [VIDEO=file] [OUT=dir]
	@scripts/setup
	@cargo build --profile $(PROFILE) -p transcode-controller -p transcode-task -p transcode-local -p transcode-tests --bins
	@cargo run --quiet --profile $(PROFILE) -p transcode-tests --bin demo -- --video "$$VIDEO" --out "$$OUT"

up: ## the same local stack, kept running in the background; prints how to use it
	@scripts/setup
	@cargo build --profile $(PROFILE) -p transcode-controller -p transcode-task -p transcode-local -p transcode-tests --bins
	@cargo run --quiet --profile $(PROFILE) -p transcode-tests --bin stack -- up

down: ## ends the stack of `make up` and removes its files
	@cargo run --quiet --profile $(PROFILE) -p transcode-tests --bin stack -- down

# One selection of packages for all but the simulator: another one would build the clients of AWS again, with other
# features. Packages are tested in the order of their names; the pipeline's own tests come late and run the programs built here.
test: ## everything that checks the project
	@scripts/setup --test
	cargo test -p transcode-sim --profile fast
	cargo build --workspace --exclude transcode-sim --bins --tests
	cargo test --workspace --exclude transcode-sim -- --test-threads=3

# Clippy takes each package by itself: together, the features that one switches on would hide what another lacks.
lint: ## formatting, clippy, licences and sources of crates, template, scripts
	@scripts/setup --lint
	cargo metadata --locked --format-version 1 > /dev/null
	cargo fmt --all --check
	for package in $$(cargo metadata --no-deps --format-version 1 | python3 -c 'import json, sys; print(*(it["name"] for it in json.load(sys.stdin)["packages"]))'); do \
		cargo clippy --quiet -p $$package --all-targets -- -D warnings || exit 1; done
	.tools/lint/bin/cargo-deny --locked --all-features check licenses bans sources
	.tools/lint/bin/cargo-deny --locked --manifest-path fuzz/Cargo.toml --config deny.toml check bans sources
	.tools/lint/bin/cfn-lint deploy/template.yaml deploy/events.yaml
	.tools/lint/bin/shellcheck -x scripts/setup scripts/audit scripts/sbom scripts/fuzz .ci/run scripts/images scripts/release scripts/rootfs scripts/licences scripts/ffmpeg
	python3 -c 'import ast, sys; [ast.parse(open(name).read(), name) for name in sys.argv[1:]]' scripts/emulator scripts/emulator_account.py scripts/emulator_iam.py scripts/emulator_types.py

dashboard-picture: ## docs/dashboard.svg: the dashboard after a run of several jobs on this machine
	@scripts/setup
	@cargo build -p transcode-controller -p transcode-task -p transcode-local -p transcode-tests --bins
	@cargo run --quiet -p transcode-tests --bin dashboard_picture -- --out docs/dashboard.svg

sim: ## the production core in a simulated world [SEEDS=n] [SEED=s]
	cargo run -p transcode-sim --profile fast -- $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

audit: ## known vulnerabilities of the crates, from the copy of the RustSec database
	@scripts/setup --lint
	scripts/audit

sbom: ## what the two programs are made of, as CycloneDX in sbom/
	scripts/sbom

fuzz: ## the parsers of foreign bytes under libFuzzer [SECONDS=n for each] [TARGET="name …"]
	@scripts/setup --fuzz
	scripts/fuzz $(SECONDS) $(TARGET)

# How many tasks the fleets have, and how long each is watched.
SIZES ?= 100,1000
LASTS ?= 30

# The third measures ffmpeg and what starts it: optimising our side of that would only take time to build.
bench: ## speed: ratios of two things measured in one run, and what fleets of tasks cost the controller [SIZES="100,10000"] [LASTS=seconds]
	@scripts/setup
	cargo bench -q -p transcode-sim --bench turns --profile fast
	cargo build -q --release -p transcode-controller --bin transcode-controller
	cargo bench -q -p transcode-sim --bench fleet --profile fast -- --sizes $(SIZES) --seconds $(LASTS)
	cargo bench -q -p transcode-tests --bench media --profile dev

images: ## both container images, tried out inside and weighed
	@scripts/setup
	scripts/images

release: ## static programs, images, what they are made of and checksums in dist/ [ARCHITECTURES="x86_64 aarch64"]
	@scripts/setup --release
	scripts/release

# The image's ffmpeg is built once for each version of its source.
corpus: ## the corpus of inputs with this machine's ffmpeg and with the image's
	@scripts/setup --test
	cargo test -p transcode-media --test media
	@cmp -s scripts/ffmpeg.sources .tools/ffmpeg/share/doc/ffmpeg/sources || scripts/ffmpeg here .tools/ffmpeg
	TRANSCODE_FFMPEG=$(CURDIR)/.tools/ffmpeg/bin/ffmpeg TRANSCODE_FFPROBE=$(CURDIR)/.tools/ffmpeg/bin/ffprobe \
		cargo test -p transcode-media --test media

images-media: ## files of many kinds through the task's image
	scripts/images media

mutants: ## each deliberate weakness of the protocol, and what notices it [MUTANT="name …"]
	cargo run -p transcode-sim --profile fast --features mutants --bin mutants -- $(MUTANT)

# Every target works on a fresh clone: the first one that runs builds .venv.
PYTHON ?= python3
VIDEO ?= modeling_vidtwin/bundled/example.mp4
OUT ?= runs/demo
CLIPS ?= $(wildcard ../shared/clips)
STAMP := .venv/.installed
PY := .venv/bin/python
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadgroup

.PHONY: demo test test-slow test-all test-floors check lint types bench conformance train-demo

demo: $(STAMP)  ## a video beside its reconstruction, structure only and dynamics only (VIDEO=path)
	mkdir -p demo_output
	$(PY) -m vidtwin reconstruct "$(VIDEO)" demo_output/comparison.mp4 --model demo \
		--side-by-side --metrics --strip demo_output/strip.png

test: $(STAMP)  ## the fast tests
	$(PYTEST) -m "not slow and not clips"

test-slow: $(STAMP)  ## the others; those marked clips are skipped unless VIDTWIN_CLIPS names a folder
	$(PYTEST) -m "slow or clips"

test-all: test test-slow

test-floors: .venv-floors/.installed  ## the fast tests with the oldest transformers and huggingface_hub we admit
	OMP_NUM_THREADS=1 .venv-floors/bin/python -m pytest -n 2 -m "not slow and not clips"

check: lint types

lint: $(STAMP)
	.venv/bin/ruff check .

# mypy cannot follow setup.py's mapping of folders to packages, so it reads an installed copy.
types: $(STAMP)
	rm -rf build/bdist* build/lib build/types
	$(PY) -m pip install --quiet --no-deps --target build/types .
	MYPYPATH=build/types .venv/bin/mypy -p vidtwin

bench: $(STAMP)  ## speed and memory beside a textbook implementation, the parts of a training step, reading clips
	$(PY) -m benchmarks.bench
	$(PY) -m benchmarks.step_time
	$(PY) -m benchmarks.loader $(CLIPS)

conformance: $(STAMP)  ## transformers' own common tests on our config, model and processor
	$(PY) tests/conformance/run.py

train-demo: $(STAMP)  ## train the demo model, going on where it stopped (OUT=dir, STEPS=n, CLIPS=folder of videos)
	nice -n 19 $(PY) -m vidtwin train demo --output-dir "$(OUT)" --resume \
		$(if $(STEPS),--set max_steps=$(STEPS)) $(if $(CLIPS),--set "data.videos=$(CLIPS)")

$(STAMP): setup.py pyproject.toml
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --editable '.[dev]'
	touch $@

# Borrows what .venv has (a .pth line puts its packages behind its own) and installs only what differs.
.venv-floors/.installed: $(STAMP)
	$(PYTHON) -m venv --clear .venv-floors
	$(PY) -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> "$$(.venv-floors/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/borrowed.pth"
	.venv-floors/bin/python -m pip install --editable . 'transformers==5.17.*' 'huggingface_hub==1.31.*'
	touch $@

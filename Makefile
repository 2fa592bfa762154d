# Everything here sets up what it needs first; a second run starts at once.
GUESTS = default torture lockdep kcsan og
SETUP = @tools/python tools/setup.py
PYTHON3 = .venv/bin/python

.PHONY: help demo test guest bench nightly clean

help:
	@echo 'make demo     set up, boot Linux under wdbg and show what it does'
	@echo 'make test     set up and run every check and test'
	@echo 'make guest    build every configuration of the example guest'
	@echo 'make bench    measure, and write bench/results/*.json'
	@echo 'make nightly  the long random tests'
	@echo 'make clean    remove what was built in this tree (kernels stay in the cache)'

demo:
	$(SETUP) --guest default torture
	@$(PYTHON3) tools/demo.py

test:
	$(SETUP) --dev --guest $(GUESTS)
	@$(PYTHON3) tools/check.py

guest:
	$(SETUP) --guest $(GUESTS)

bench:
	$(SETUP) --dev --guest default
	@$(PYTHON3) -m bench

nightly:
	$(SETUP) --dev --guest $(GUESTS)
	@$(PYTHON3) -m tests.instrument.equivalence --modules 10000
	@$(PYTHON3) -m tests.symbols.fuzz_container --mutations 100000 "$$($(PYTHON3) -c \
		'from wdbg.runtime.guest import default_guest; print(default_guest().kernel)')"
	@PYTHONPATH=.:tools $(PYTHON3) -m tests.symbols.dwarf.fuzz_dwarf --mutations 50000
	@WDBG_DETERMINISM_RUNS=100 $(PYTHON3) -m pytest tests/guest/test_determinism.py
	@WDBG_REPRODUCTIONS=50 $(PYTHON3) -m pytest tests/guest/test_explore.py
	@mkdir -p build
	@$(PYTHON3) -m wdbg run --exec 'echo c > /proc/sysrq-trigger' --dump build/crash.dump; \
		$(PYTHON3) -m tests.dump.fuzz_dump --mutations 10000 build/crash.dump
	@WDBG_TICK_PAIRS=200 $(PYTHON3) -m pytest tests/guest/test_time_travel.py

clean:
	rm -rf .venv build bench/results .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

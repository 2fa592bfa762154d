"""Static rewriting of kernels and user programs, and the on-disk cache of the results.

Start with ``rewrite`` (what the passes together make of a module), ``sweep`` (how edits are
applied) and ``layout`` (how a rewritten guest and its host talk). This file imports nothing: a
guest process needs only ``layout``, ``result`` and ``cache``. Nothing in here starts a thread or
imports NumPy, which would: the guest process must stay single-threaded.
"""

"""Lockdep's verdicts, reached from outside the guest: could this locking deadlock?"""

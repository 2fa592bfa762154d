"""Module files as LLDB can read them without error, and what is needed to answer for them."""

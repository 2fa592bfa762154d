"""What `make` sets up before wdbg can run. Standard library only: nothing is installed yet."""

"""What traces tell: pure functions over their events."""

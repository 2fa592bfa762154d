"""Schedule search: many schedules of one workload from one boot, and what they find."""

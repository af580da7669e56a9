"""What people who work on the project run: set-up, checks, the demo, the benchmark."""

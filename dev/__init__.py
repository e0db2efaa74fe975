"""What the Makefile runs: environments, checks, the demo and the web interface."""

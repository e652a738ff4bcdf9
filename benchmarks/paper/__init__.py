"""Tables 2 to 6 of the paper: `python -m benchmarks.paper 2 --scale cpu`."""

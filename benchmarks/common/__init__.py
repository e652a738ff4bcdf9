"""What all benchmarks share: resumable experiments, result pages, and facts about the machine."""

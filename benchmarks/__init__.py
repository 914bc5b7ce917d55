"""What ``make bench`` measures: each figure beside its baseline, taken in the same run, so that a ratio is what counts."""

"""Named benchmarks, each printing ratios: ours against a public peer, measured in the same run."""

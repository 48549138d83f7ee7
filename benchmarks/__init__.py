"""Speed and memory beside baselines."""

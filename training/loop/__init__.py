"""The training loop: epochs, optimisers, schedules, checkpoints, and how a run stops and resumes."""

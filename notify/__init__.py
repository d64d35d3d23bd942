"""What people are told: feeds over websockets, read from the committed log and nothing else."""

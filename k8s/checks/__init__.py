"""What a version must show before users reach it: its golden answers, and service levels under load."""

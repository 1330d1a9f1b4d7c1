"""What makes the images; imports nothing of ours, and nothing that ships imports it."""

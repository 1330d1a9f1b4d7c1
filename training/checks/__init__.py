"""Data checks: what is wrong with images, labels and names before anything is trained on them. Changes no file."""

"""Which network suits a folder: candidates, compared on images that none of them was trained on."""

"""What a frozen backbone sees in each image, kept on disk, and the classifier that is fitted to it in seconds."""

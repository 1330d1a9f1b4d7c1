"""Train an image classifier on a folder of labelled images and publish it to the BentoML model store."""

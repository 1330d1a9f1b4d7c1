"""The images of the programs that the cluster's own pods run, made without a builder."""

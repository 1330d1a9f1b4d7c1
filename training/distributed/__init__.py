"""Distributed training: several processes, the workers, train one model together."""

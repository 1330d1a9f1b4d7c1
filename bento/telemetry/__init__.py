"""What operators see: metrics, logs, traces, and the counters by which drift is found."""

"""What is known of calls beside their audio: metrics, traces, logs, and what is masked in them."""

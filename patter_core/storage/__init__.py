"""Files that sinks and stores keep on this machine."""

"""What the registry does with each plugin that is installed: its metadata, its import, its names."""

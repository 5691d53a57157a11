"""Speech recognition: Scribe realtime as a part of a pipeline. Nothing here is imported but for `patter_parts`."""

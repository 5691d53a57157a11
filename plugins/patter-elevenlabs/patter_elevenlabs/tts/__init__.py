"""The voice: ElevenLabs text to speech as a part of a pipeline. Nothing here is imported but for `patter_parts`."""

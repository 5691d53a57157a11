"""Chat completions: a language model of OpenAI, or of a server that speaks its protocol, as a part of a pipeline."""

"""GPT-Live: sessions that listen and talk without turns. Experimental: see `docs/how-to/openai.md`."""
